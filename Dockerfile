# syntax=docker/dockerfile:1

# CPU torch by default; `--target cuda` has PyTorch's CUDA build.
FROM python:3.12-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    MPLCONFIGDIR=/tmp/matplotlib
WORKDIR /app
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY adabelief adabelief
COPY whichopt whichopt
COPY service service
COPY workers workers
COPY migrations migrations
RUN useradd --system --uid 10001 --create-home whichopt \
    && install -d -o whichopt -g whichopt /data

FROM base AS cuda
RUN pip install -c constraints.txt '.[workers]'
USER 10001
CMD ["python", "-m", "whichopt.workers", "--queue=cuda"]

FROM base AS cpu
RUN pip install -c constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu '.[workers]'
USER 10001
# uvicorn believes X-Forwarded-Proto and -For of the proxies that FORWARDED_ALLOW_IPS names; by default of none but
# its own host.
CMD ["python", "-m", "uvicorn", "--factory", "whichopt.service.app:from_environment", "--host=0.0.0.0", "--port=8000", \
     "--no-access-log", "--timeout-graceful-shutdown=3"]
