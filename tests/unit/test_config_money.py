"""`[money]` and `[admin]`: prices that can be prices, secrets that nobody guesses, and nothing else."""

from decimal import Decimal
from pathlib import Path

import pytest

from router.billing.opening import journal_folder, load_priced, tariffs_of
from router.catalog.models import load_seed
from router.config import Config, ConfigError, MoneyConfig, ProviderConfig, RateTable
from router.ledger.price import RATES, PriceProblem, check_markup, make_price
from tests.unit.written_config import ENVIRON, load, refuse, write

HEAD = "[providers.openai]\n"
LONG = "a-secret-of-sixteen"
# The last three are what TOML calls numbers that are none.
VALUES = ["0", "0.000001", "10000", "-0.01", "10000.01", "1e300", "nan", "inf", "-inf"]


def money(**fields: object) -> Config:
    provider = ProviderConfig(base_url="http://simulator/v1")
    return Config(providers={"openai": provider, "mine": provider}, money=MoneyConfig(**fields))  # type: ignore[arg-type]


def test_the_rates_are_those_of_the_ledger() -> None:
    assert RateTable.__struct_fields__ == RATES


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("value", VALUES)
def test_a_price_is_refused_with_its_model_where_the_ledger_would_refuse_it(
    tmp_path: Path, rate: str, value: str
) -> None:
    text = f'{HEAD}[money.prices."openai/gpt-4o"]\n{rate} = {value}\n'
    try:
        make_price("m", {"input": 1.0, "output": 1.0, rate: float(value)})
    except PriceProblem:
        [problem] = refuse(tmp_path, text).problems
        assert problem.path == f'money.prices."openai/gpt-4o".{rate}'
    else:
        prices = load(tmp_path, text).money.prices
        assert prices["openai/gpt-4o"].stated == {rate: float(value)}


@pytest.mark.parametrize("value", ["0", "0.001", "1", "100", "100.1", "-1", "nan", "inf"])
def test_a_markup_is_refused_where_the_ledger_would_refuse_it(tmp_path: Path, value: str) -> None:
    text = f"{HEAD}[money]\nmarkup = {value}\n"
    try:
        check_markup(Decimal(value))
    except ValueError:
        [problem] = refuse(tmp_path, text).problems
        assert problem.path == "money.markup"
    else:
        assert load(tmp_path, text).money.markup == float(value)


@pytest.mark.parametrize(
    ("text", "path", "suggestion"),
    [
        (
            '[money.prices."opnai/gpt-4o"]\ninput = 1',
            'money.prices."opnai/gpt-4o"',
            "openai/gpt-4o",
        ),
        ('[money.prices."gpt-4o"]\ninput = 1', "money.prices.gpt-4o", None),
        ('[money.prices."openai/"]\ninput = 1', 'money.prices."openai/"', None),
        ('[money.prices."openai/gpt-4o"]', 'money.prices."openai/gpt-4o"', None),
        ('[money.prices."openai/x"]\noutptu = 1', 'money.prices."openai/x".outptu', "output"),
        ('[money.prices."openai/x"]\ninput = "1"', 'money.prices."openai/x".input', None),
        ('[money]\nprice_list = "sed"', "money.price_list", "seed"),
        ("[money]\noutage_seconds = 0", "money.outage_seconds", None),
        ('[money]\njournal = ""', "money.journal", None),
        ('[admin]\nkey = "env:OPENAI_API_KEY"', "admin.key", None),
        ('[admin]\nkey = "a-plain-secret-in-the-file"', "admin.key", None),
        ("[admin.payments.bank]\nsecrets = []", "admin.payments.bank.secrets", None),
        ("[admin.payments.bank]", "admin.payments.bank.secrets", None),
        ('[admin.payments."a b"]\nsecrets = ["env:LONG"]', 'admin.payments."a b"', None),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, text: str, path: str, suggestion: str | None
) -> None:
    [problem] = refuse(tmp_path, f"{HEAD}{text}\n", LONG=LONG).problems
    assert (problem.path, problem.suggestion) == (path, suggestion)
    assert ENVIRON["OPENAI_API_KEY"] not in str(problem)


def test_secrets_are_read_and_the_journals_folder_is_beside_the_file(tmp_path: Path) -> None:
    text = (
        f'{HEAD}[money]\njournal = "books"\n[admin]\nkey = "env:LONG"\n'
        '[admin.payments.bank]\nsecrets = ["env:LONG"]\n'
    )
    config = load(tmp_path, text, LONG=LONG)
    assert config.money.journal == str(tmp_path / "books")
    assert config.admin.key is not None
    assert config.admin.key.reveal() == LONG
    assert [one.reveal() for one in config.admin.payments["bank"].secrets] == [LONG]
    assert LONG not in repr(config)


def test_an_operators_price_that_is_not_whole_refuses_the_configuration(tmp_path: Path) -> None:
    text = '[providers.mine]\nbase_url = "http://x/v1"\n[money.prices."mine/m"]\ninput = 1\n'
    with pytest.raises(ConfigError) as caught:
        load_priced(write(tmp_path, text), ENVIRON)
    [problem] = caught.value.problems
    assert (problem.path, problem.message) == (
        'money.prices."mine/m"',
        "the output price is missing",
    )


def test_an_operators_price_stands_before_the_lists_and_the_markup_is_on_top() -> None:
    config = money(
        markup=1.25,
        prices={"openai/gpt-4o": RateTable(output=8.0), "mine/m": RateTable(input=0.0, output=0.0)},
    )
    tariffs = tariffs_of(config, load_seed()).tariffs
    assert tariffs["openai/gpt-4o"].cost.output == 8 * 10**9
    assert tariffs["openai/gpt-4o"].sale.output == 10 * 10**9
    assert tariffs["openai/gpt-4o"].cost.input > 0
    assert tariffs["mine/m"].sale.input == 0
    assert not any(name.startswith("anthropic/") for name in tariffs)


def test_the_other_price_list_is_asked_first_and_the_seed_stands_in() -> None:
    listed = tariffs_of(money(price_list="genai-prices"), load_seed()).tariffs
    seeded = tariffs_of(money(), load_seed()).tariffs
    assert set(seeded) <= set(listed)


def test_each_database_has_a_journal_of_its_own(tmp_path: Path) -> None:
    folders = [journal_folder(load(tmp_path, f'[store]\npath = "{name}.db"')) for name in "ab"]
    assert folders == [tmp_path / "a.db.journal", tmp_path / "b.db.journal"]
    on_servers = [
        journal_folder(load(tmp_path, '[store]\nurl = "env:DB"', DB=f"postgresql://{url}"))
        for url in ("me:old@host/a", "me:new@host/a?sslmode=require", "me:new@host/b")
    ]
    state = Path(ENVIRON["HOME"]) / ".local/state/syze/journal"
    assert {folder.parent for folder in on_servers if folder is not None} == {state}
    assert on_servers[0] == on_servers[1] != on_servers[2]
    chosen = load(tmp_path, '[store]\npath = "a.db"\n[money]\njournal = "books"')
    assert journal_folder(chosen) == tmp_path / "books"
