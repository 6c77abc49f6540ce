# One image for every part of Nudge: `serve`, `work` and `migrate` are commands of the same program.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src

# What is installed changes less often than the code: its layers come first. Every file is held to its hash.
COPY requirements/default.txt requirements/build.txt requirements/compiler.txt requirements/
RUN python -m venv /opt/nudge \
    && /opt/nudge/bin/pip install --require-hashes -r requirements/default.txt \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes -r requirements/build.txt -r requirements/compiler.txt

COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY store store
COPY service service
COPY worker worker
COPY standalone standalone
COPY client client
# Kernels for every processor of this kind, since the image runs elsewhere than it was built.
RUN /opt/build/bin/python -m core.compiled.build all \
    && /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/nudge/bin/pip install --no-deps /wheels/*.whl


FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin nudge \
    && install --directory --owner=nudge --group=nudge --mode=0750 /data
COPY --from=build /opt/nudge /opt/nudge
ENV PATH=/opt/nudge/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUDGE_DATA=/data
USER nudge
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["nudged"]
CMD ["--help"]
