# One image for the service, the chat page and MLflow's server: see docker-compose.yml.
# What is installed is pinned with hashes; the root file system may be read-only: all that is written is in /data and /tmp.

FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/lab
WORKDIR /src
COPY requirements-deployment.txt ./
RUN /opt/lab/bin/pip install --require-hashes -r requirements-deployment.txt
COPY pyproject.toml README.md LICENSE benchmark.csv ./
COPY llmflowlab ./llmflowlab
RUN /opt/lab/bin/pip install --no-deps .

FROM python:3.12-slim-bookworm
# For models that run inside the program.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 lab \
    && useradd --system --uid 10001 --gid lab --home-dir /data --shell /usr/sbin/nologin lab \
    && install --directory --owner lab --group lab --mode 700 /data
COPY --from=build /opt/lab /opt/lab
ENV PATH=/opt/lab/bin:$PATH \
    HOME=/data \
    LLMFLOWLAB_HOME=/data \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000 8001
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["llmflowlab"]
# Without a key nobody but this container is answered: `serve keys make NAME` makes one.
CMD ["serve", "--model", "guide:docs", "--host", "0.0.0.0"]
