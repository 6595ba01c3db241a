"""The texts that go with results: written here in lines, kept as paragraphs."""


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a text, which has blank lines between them, each as one line."""
    return [" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n")]
