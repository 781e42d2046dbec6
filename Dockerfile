# Locust with loadtest, for `docker run` and for Kubernetes (docs/docker.md, docs/kubernetes.md).
# A test takes these steps without Docker: tests/e2e/test_image.py.

FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY loadtest ./loadtest
RUN python -m venv /opt/loadtest \
    && /opt/loadtest/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && /opt/loadtest/bin/pip install --no-cache-dir /wheels/*.whl

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="loadtest" \
      org.opencontainers.image.description="WebSocket load and reconnection tests on Locust" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/loadtest /opt/loadtest
COPY locustfiles/ws.py /work/locustfile.py
RUN install --directory --owner=10001 --group=10001 /work/results
ENV PATH=/opt/loadtest/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /work
ENTRYPOINT ["locust"]
