# The service, for `lrnet serve` and `lrnet worker`. Build: docker build -t lrnet . (run it with --init)
FROM python:3.11-slim-bookworm

RUN useradd --create-home --uid 10001 lrnet && install -d -o lrnet -g lrnet /data
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE constraints.txt ./
COPY src ./src
RUN pip install --no-cache-dir -c constraints.txt '.[service,postgres]'

USER 10001
ENV LRNET_DATA=/data
VOLUME /data
EXPOSE 8000
CMD ["lrnet", "serve", "--host", "0.0.0.0", "--workers", "0"]
