"""The entry of one user class in a run's manifest, made from its settings."""

from loadtest.locust_plugin.load_settings import LoadSettings
from loadtest.results.manifest import Plan, UserClass, promises_of
from loadtest.statistics.margins import margins_of
from loadtest.statistics.time_limits import stored


def user_class(name: str, settings: LoadSettings, plan: Plan, code: str | None) -> UserClass:
    """Return a user class's entry in a run's manifest; `code` is the hash of its code, if known."""
    return UserClass(
        name=name,
        plan=plan,
        promises=promises_of(settings.engine.config.dialect),
        margins=margins_of(settings.gates),
        allowed_losses=tuple(map(str, settings.allowances)),
        limits=stored(settings.limits),
        cleanup_timeout_s=settings.cleanup_timeout_s,
        pushes_per_s=settings.engine.config.pushes_per_s or None,
        subprotocol_optional=settings.engine.subprotocol_optional,
        own_credentials=settings.own_credentials,
        code=code,
    )
