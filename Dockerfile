# syntax=docker/dockerfile:1

# `api` serves and migrates, without torch. `cpu` and `cuda` are workers, with a C++ compiler: AdaBelief's fused kernel
# is compiled on the machine that runs it, for the CPU that it has.
FROM python:3.12-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY adabelief adabelief
COPY adadagrad adadagrad
COPY whichopt whichopt
COPY service service
COPY workers workers
COPY migrations migrations
RUN useradd --system --uid 10001 --create-home whichopt \
    && install -d -o whichopt -g whichopt /data

FROM base AS api
RUN pip install -c constraints.txt '.[service]'
USER 10001
# uvicorn believes X-Forwarded-Proto and -For of the proxies that FORWARDED_ALLOW_IPS names; by default of none but
# its own host.
CMD ["python", "-m", "uvicorn", "--factory", "whichopt.service.app:from_environment", "--host=0.0.0.0", "--port=8000", \
     "--no-access-log", "--timeout-graceful-shutdown=3"]

FROM base AS compiling
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

FROM compiling AS cuda
RUN pip install -c constraints.txt '.[workers]'
USER 10001
CMD ["python", "-m", "whichopt.workers", "--queue=cuda"]

FROM compiling AS cpu
RUN pip install -c constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu '.[workers]'
USER 10001
CMD ["python", "-m", "whichopt.workers", "--queue=cpu"]
