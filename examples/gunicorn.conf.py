"""gunicorn for a staging server with Stagedoor: ``gunicorn -c gunicorn.conf.py`` in the folder of ``app.py``."""

wsgi_app = "app:app"

# The reverse proxy's side only: whoever reaches gunicorn without it could write any address into X-Forwarded-For.
bind = "127.0.0.1:8000"

# Threads are what a paused request costs: one of them. A worker of four threads pauses up to three requests, and the
# fourth serves everybody else. With workers of one thread (the sync worker) a paused request occupies a whole worker;
# Stagedoor then keeps the arbiter from killing it.
workers = 4
worker_class = "gthread"
threads = 4

# Stagedoor logs on "stagedoor.audit": who opened, who attached, who was refused.
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s [%(process)d] %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True},
        "gunicorn.access": {"level": "WARNING", "handlers": [], "propagate": True},
    },
}
