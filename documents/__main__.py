"""`python -m documents` writes the pages that are generated; `make docs-reference` calls it."""

from documents.generated import GENERATED
from documents.outside import ROOT

for path, write in GENERATED.items():
    (ROOT / path).write_text(write(), encoding="utf-8")
    print(path)
