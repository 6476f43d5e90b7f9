# Runs `flowdeblur deblur` (or any other command) in a container:
#   docker build -t flowdeblur .
#   docker run --rm -v "$PWD:/data" flowdeblur deblur shaky.mp4 sharp.mp4
# With a GPU, build with wheels for CUDA:
#   docker build -t flowdeblur --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
#   docker run --rm --gpus all -v "$PWD:/data" flowdeblur deblur shaky.mp4 sharp.mp4
ARG BASE=python:3.12-slim
FROM ${BASE}
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# The operator's CPU kernel is compiled on first use.
RUN apt-get update && apt-get install -y --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/flowdeblur
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY conf conf
RUN pip install --no-cache-dir --index-url ${TORCH_INDEX} "torch>=2.11" \
 && pip install --no-cache-dir .

RUN useradd --create-home user
USER user
WORKDIR /data
ENTRYPOINT ["flowdeblur"]
CMD ["--help"]
