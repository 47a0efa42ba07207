"""Every setting, read from the environment and `.env`; the defaults run on a bare laptop.

This is the only module that reads the environment. `.env.example` lists every variable.
"""

import os
import zlib
import zoneinfo
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from architect.lib.readable_env import ReadableEnv
from architect.lib.secret_file import secret_from_file

# Lets classes such as ModelAdmin name their model in brackets, which the type checker wants and Django does not have.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
env = ReadableEnv()
# A variable that is already set wins over the file.
env.read_env(os.environ.get("ENV_FILE", BASE_DIR / ".env"))


def directory(variable: str, *, default: str) -> Path:
    """The folder that `variable` names; a relative one is taken from the project's folder."""
    return BASE_DIR / Path(env.str(variable, default)).expanduser()


def names(variable: str) -> tuple[str, ...]:
    """A comma list of names, without blanks and empty places."""
    return tuple(name.strip() for name in env.list(variable, default=[]) if name.strip())


# Where things lie
VAR_DIR = directory("VAR_DIR", default="var")
MODELS_DIR = directory("MODELS_DIR", default="models")

# The web side
DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", "") or secret_from_file(VAR_DIR / "secret_key")
HOST = env.str("HOST", "127.0.0.1")
PORT = env.int("PORT", 8000)
SERVER = env.str("SERVER", "uvicorn")
PUBLIC_URL = env.str("PUBLIC_URL", "") or f"http://localhost:{PORT}"
ALLOWED_HOSTS = [*{"localhost", "127.0.0.1", "[::1]", HOST, urlsplit(PUBLIC_URL).hostname}, *names("ALLOWED_HOSTS")]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL.rstrip("/")]
ROOT_URLCONF = "architect.urls"
ASGI_APPLICATION = "architect.asgi.application"

UI_NAME = env.str("UI_NAME", "Architect")
UI_PROBE_HOSTS = names("UI_PROBE_HOSTS") or ("127.0.0.1", "host.docker.internal")
UI_DEFAULT_THEME = env.str("UI_DEFAULT_THEME", "system")

INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "django_htmx",
    "architect.live",
    "architect.accounts",
    "architect.jobs",
    "llm_providers",
    "architect.chat",
    "architect.dashboard",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "architect.lib.static_files.StaticFilesMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "architect.accounts.middleware.PersonMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "architect.dashboard.context.frame",
            ]
        },
    }
]

# People
AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "accounts:sign_in"
LOGIN_REDIRECT_URL = "dashboard:home"
LOGOUT_REDIRECT_URL = "accounts:sign_in"
# Cookies do not tell ports apart: two instances on one host must not sign each other's people out.
_INSTANCE = f"{zlib.crc32(str(VAR_DIR).encode()):08x}"
SESSION_COOKIE_NAME = f"session_{_INSTANCE}"
CSRF_COOKIE_NAME = f"csrf_{_INSTANCE}"
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 30 * 24 * 3600

# Security of the pages
IS_HTTPS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if IS_HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IS_HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSP_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "media-src": [SELF, "blob:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    }
}
if env.bool("UI_CSP_REPORT_ONLY", False):
    CONTENT_SECURITY_POLICY_REPORT_ONLY = CSP_POLICY
else:
    CONTENT_SECURITY_POLICY = CSP_POLICY

# Language and time
LANGUAGE_CODE = "en"
TIME_ZONE = env.str("TIME_ZONE", "UTC")
if TIME_ZONE not in zoneinfo.available_timezones():
    raise ImproperlyConfigured(f"TIME_ZONE is {TIME_ZONE!r}; write a name such as UTC or Europe/Berlin.")
USE_TZ = True
USE_I18N = True

# Static files: hashed, compressed names made by `collectstatic` under var/
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = DEBUG
STATICFILES_STORAGE = env.str("STATICFILES_STORAGE", "whitenoise.storage.CompressedManifestStaticFilesStorage")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": VAR_DIR / "files"}},
    "staticfiles": {"BACKEND": STATICFILES_STORAGE},
}

# Data. `disk` survives a loss of power, `process` the death of any of our processes.
LLM_DURABILITY = env.str("LLM_DURABILITY", "disk")
_SQLITE = "django.db.backends.sqlite3"
# A path is no URL: the folder may be called c++, or have a # in its name.
_in_var: dict[str, Any] = {"ENGINE": _SQLITE, "NAME": str(VAR_DIR / "architect.sqlite3")}
DATABASES = {"default": env.database("DATABASE_URL") if env.str("DATABASE_URL", "") else _in_var}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
_database = DATABASES["default"]
if _database["ENGINE"] == _SQLITE:
    _synchronous = "NORMAL" if LLM_DURABILITY == "process" else "FULL"
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": f"PRAGMA journal_mode=WAL;PRAGMA synchronous={_synchronous};",
    }
    # A file, not memory: the group commit and the other processes of a test have connections of their own.
    _database["TEST"] = {"NAME": VAR_DIR / "test.sqlite3"}
else:
    _synchronous = "off" if LLM_DURABILITY == "process" else "on"
    _options = _database.setdefault("OPTIONS", {})
    _options["options"] = f"{_options.get('options', '')} -c synchronous_commit={_synchronous}".strip()
    _database["CONN_HEALTH_CHECKS"] = True

# Processes
REDIS_URL = env.str("REDIS_URL", "")
BROKER_DIR = VAR_DIR / "broker"
CELERY_BROKER_URL = REDIS_URL or "filesystem://localhost//"
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {}
    if REDIS_URL
    else {
        "data_folder_in": str(BROKER_DIR),
        "data_folder_out": str(BROKER_DIR),
        "control_folder": str(BROKER_DIR / "control"),
        "polling_interval": 0.1,
    }
)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "quick"
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BEAT_SCHEDULER = "celery.beat.Scheduler"
CHANNEL_LAYERS = {
    "default": (
        {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}
        if REDIS_URL
        else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    )
}

# Language models
LLM_PROVIDERS_FILE = directory("LLM_PROVIDERS_FILE", default="config/llm_providers.yaml")
LLM_FAILOVER_ENABLED = env.bool("LLM_FAILOVER_ENABLED", None)  # None: what the file says
LLM_DEFAULT_PROVIDER = env.str("LLM_DEFAULT_PROVIDER", "ollama")
LLM_FALLBACK_ORDER = names("LLM_FALLBACK_ORDER")
LLM_DEFAULT_PRIVACY = env.str("LLM_DEFAULT_PRIVACY", "internal")
LLM_PROBE_REMOTE = env.bool("LLM_PROBE_REMOTE", True)
LLM_DEADLINE_INTERACTIVE_S = env.float("LLM_DEADLINE_INTERACTIVE_S", 120)
LLM_DEADLINE_JOB_S = env.float("LLM_DEADLINE_JOB_S", 900)
LLM_ANSWER_LIMIT_S = env.float("LLM_ANSWER_LIMIT_S", 900)
ENGINE_ENABLED = env.str("ENGINE_ENABLED", "auto").lower()
ENGINE_MODEL = env.str("ENGINE_MODEL", "")
# Providers name the variable that holds their secret; its value is looked up here and never stored.
SECRET_ENVIRONMENT = os.environ

# Chat
CHAT_FLUSH_MS = env.int("CHAT_FLUSH_MS", 250)
CHAT_COALESCE_MS = env.int("CHAT_COALESCE_MS", 40)
CHAT_RUN_LIMIT_S = env.float("CHAT_RUN_LIMIT_S", 900)
CHAT_HEARTBEAT_STALE_S = env.float("CHAT_HEARTBEAT_STALE_S", 15)
CHAT_SHUTDOWN_GRACE_S = env.float("CHAT_SHUTDOWN_GRACE_S", 20)
CHAT_PAGE_MESSAGES = env.int("CHAT_PAGE_MESSAGES", 30)
CHAT_DEFAULT_MODEL = env.str("CHAT_DEFAULT_MODEL", "auto")
CHAT_DEFAULT_PRIVACY = env.str("CHAT_DEFAULT_PRIVACY", "") or LLM_DEFAULT_PRIVACY
CHAT_MAX_MESSAGE_CHARS = env.int("CHAT_MAX_MESSAGE_CHARS", 200_000)
CHAT_MAX_RUNS_PER_USER = env.int("CHAT_MAX_RUNS_PER_USER", 3)

LOG_LEVEL = env.str("LOG_LEVEL", "INFO").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "httpx": {"level": "WARNING"},
        "django": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
    },
}
