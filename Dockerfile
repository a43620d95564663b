# MyoPerf without a GPU's libraries, for a user without rights: docker build -t myoperf .
#   docker run --rm -v "$PWD/patient:/data:ro" -v "$PWD/results:/results" --user "$(id -u)" myoperf analyze /data -o /results/report
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/myoperf
COPY constraints.txt ./
RUN /opt/myoperf/bin/pip install --no-cache-dir -c constraints.txt torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/myoperf/bin/pip install --no-cache-dir -c constraints.txt '.[web]'

FROM python:3.11-slim-bookworm
COPY --from=build /opt/myoperf /opt/myoperf
ENV PATH=/opt/myoperf/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --create-home --uid 10001 myoperf && install -d -o myoperf -g myoperf -m 0700 /room
USER myoperf
WORKDIR /home/myoperf
VOLUME /room
EXPOSE 8180
ENTRYPOINT ["myoperf"]
CMD ["--help"]
