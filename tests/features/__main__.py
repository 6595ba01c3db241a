"""`python -m tests.features` writes the page anew, after the table was changed."""

from tests.features.page import PAGE, page

if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    print(f"wrote {PAGE}")
