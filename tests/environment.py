"""Loaded before Django is: the tests see no `.env` and no variable of the developer's own shell."""

import os
import tempfile
import zlib
from pathlib import Path

os.environ["ENV_FILE"] = os.devnull
for variable in ("SECRET_KEY", "PUBLIC_URL", "HOST", "PORT", "ENGINE_ENABLED", "ENGINE_MODEL", "LLM_FALLBACK_ORDER"):
    os.environ.pop(variable, None)
# A folder for each checkout, so that the tests of two can run at once.
checkout = zlib.crc32(str(Path(__file__).resolve().parent).encode())
os.environ.setdefault("VAR_DIR", str(Path(tempfile.gettempdir()) / f"architect-tests-{os.getuid()}-{checkout:08x}"))
os.environ.setdefault("MODELS_DIR", str(Path(os.environ["VAR_DIR"]) / "models"))
# Tests declare what they need.
os.environ["LLM_PROVIDERS_FILE"] = os.devnull
os.environ.setdefault("STATICFILES_STORAGE", "django.contrib.staticfiles.storage.StaticFilesStorage")
# A test does not have to survive a loss of power; the tests of durability set their own.
os.environ.setdefault("LLM_DURABILITY", "process")
Path(os.environ["VAR_DIR"], "static").mkdir(parents=True, exist_ok=True)
