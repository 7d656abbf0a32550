# kseq in a container that writes to /work and /tmp alone, as a user without a name and a home.
#
#     python -m build --wheel
#     docker build -t kseq .
#     docker run --rm --read-only --tmpfs /tmp -v "$PWD:/work" --user "$(id -u)" kseq compare --csv sales.csv
#
# .ci/container.py runs these steps where there is no Docker.
FROM python:3.12-slim

# tensorflow-cpu or jax instead: --build-arg BACKEND=jax --build-arg EXTRA=jax
ARG BACKEND=torch
ARG EXTRA=torch

WORKDIR /build
COPY dist/*.whl constraints.txt ./
RUN python -m pip install --no-cache-dir -c constraints.txt "$(echo ./kseq-*.whl)[$EXTRA,onnx]"
RUN python -m compileall -q "$(python -c 'import os, kseq; print(os.path.dirname(kseq.__file__))')"

# What would be kept in a home: Matplotlib's fonts, Keras's settings, compiled loops.
ENV KERAS_BACKEND=$BACKEND
ENV MPLBACKEND=Agg
ENV MPLCONFIGDIR=/tmp/matplotlib
ENV KERAS_HOME=/tmp/keras
ENV XDG_CACHE_HOME=/tmp/cache
ENV PYTHONDONTWRITEBYTECODE=1

WORKDIR /work
USER 10001:10001
ENTRYPOINT ["kseq"]
CMD ["--help"]
