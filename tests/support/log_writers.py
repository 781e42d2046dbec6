"""Writes a record as the loggers of many stacks do, and wraps lines as carriers do."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from loadtest.serverlog.records import Level


class Said(NamedTuple):
    """What a server logs: level, time in whole milliseconds, logger and text."""

    level: Level
    at_ms: int
    logger: str
    text: str

    def at(self, layout: str) -> str:
        """The time by a layout of strftime, with `%f` as milliseconds."""
        moment = datetime.fromtimestamp(self.at_ms // 1_000, UTC)
        return moment.strftime(layout.replace("%f", f"{self.at_ms % 1_000:03d}"))

    @property
    def iso(self) -> str:
        """The time as ISO 8601 in UTC."""
        return self.at("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Logger:
    """A logger.

    Args:
        write: returns the line of a record.
        names: its names of DEBUG, INFO, WARNING, ERROR, CRITICAL.
        unit_ms: how exact its times are, 0 if it writes none that has a date.
        json: whether it writes JSON.
    """

    write: Callable[[Said, str], str]
    names: Sequence[str] = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    unit_ms: int = 1
    json: bool = False

    def line(self, said: Said) -> str:
        """The record as this logger writes it."""
        return self.write(said, self.names[list(Level).index(said.level)])


LOWER = ("debug", "info", "warning", "error", "critical")
GO = ("debug", "info", "warn", "error", "fatal")
JAVA = ("DEBUG", "INFO", "WARN", "ERROR", "FATAL")
SHORT = ("DBG", "INF", "WRN", "ERR", "FTL")
LETTER = ("D", "I", "W", "E", "F")


def _json(**fields: object) -> str:
    return json.dumps({name.replace("__", "."): value for name, value in fields.items()})


LOGGERS: dict[str, Logger] = {
    "python plain": Logger(lambda s, n: f"{s.at('%Y-%m-%d %H:%M:%S,%f')} {n} [{s.logger}] {s.text}"),
    "python dashes": Logger(lambda s, n: f"{s.at('%Y-%m-%d %H:%M:%S,%f')} - {s.logger} - {n} - {s.text}"),
    "python colon": Logger(lambda s, n: f"{s.at('%Y-%m-%d %H:%M:%S,%f')} {n} {s.logger}: {s.text}"),
    "python name first": Logger(lambda s, n: f"{s.at('%Y-%m-%d %H:%M:%S,%f')} {s.logger} {n} {s.text}"),
    "python basic": Logger(lambda s, n: f"{n}:{s.logger}:{s.text}", unit_ms=0),
    "django": Logger(lambda s, n: f"{n} {s.at('%Y-%m-%d %H:%M:%S,%f')} consumers 7 140735 {s.text}"),
    "celery": Logger(lambda s, n: f"[{s.at('%Y-%m-%d %H:%M:%S,%f')}: {n}/MainProcess] {s.text}"),
    "uvicorn": Logger(lambda s, n: f"{n + ':':<9} {s.text}", unit_ms=0),
    "gunicorn": Logger(lambda s, n: f"[{s.at('%Y-%m-%d %H:%M:%S +0000')}] [7] [{n}] {s.text}", unit_ms=1_000),
    "tornado": Logger(
        lambda s, n: f"[{n} {s.at('%y%m%d %H:%M:%S')} web:1871] {s.text}", LETTER, unit_ms=1_000
    ),
    "loguru": Logger(lambda s, n: f"{s.at('%Y-%m-%d %H:%M:%S.%f')} | {n:<8} | chat:recv:10 - {s.text}"),
    "structlog": Logger(
        lambda s, n: f"\x1b[2m{s.iso}\x1b[0m [\x1b[31m\x1b[1m{n:<9}\x1b[0m] \x1b[1m{s.text}\x1b[0m", LOWER
    ),
    "winston simple": Logger(
        lambda s, n: f"{n}: {s.text}", ("debug", "info", "warn", "error", "crit"), unit_ms=0
    ),
    "winston": Logger(lambda s, n: f"{s.iso} [{n}]: {s.text}", ("debug", "info", "warn", "error", "crit")),
    "winston plain": Logger(
        lambda s, n: f"{s.iso} {n}: {s.text}", ("debug", "info", "warn", "error", "crit")
    ),
    "log4js": Logger(lambda s, n: f"[{s.at('%Y-%m-%dT%H:%M:%S.%f')}] [{n}] {s.logger} - {s.text}", JAVA),
    "nest": Logger(
        lambda s, n: f"[Nest] 18  - {s.at('%m/%d/%Y, %I:%M:%S %p')}   {n} [ChatGateway] {s.text}",
        ("DEBUG", "LOG", "WARN", "ERROR", "FATAL"),
        unit_ms=1_000,
    ),
    "zap console": Logger(lambda s, n: f"{s.iso}\t{n}\tws/conn.go:88\t{s.text}", JAVA),
    "zerolog console": Logger(lambda s, n: f"{s.iso} {n} {s.text}", SHORT),
    "logrus": Logger(
        lambda s, n: f'time="{s.iso}" level={n} msg={json.dumps(s.text, ensure_ascii=False)}', GO
    ),
    "slog": Logger(
        lambda s, n: f"time={s.iso} level={n} msg={json.dumps(s.text, ensure_ascii=False)}",
        ("DEBUG", "INFO", "WARN", "ERROR", "FATAL"),
    ),
    "glog": Logger(lambda s, n: f"{n}1124 14:20:35.123456       1 conn.go:88] {s.text}", LETTER, unit_ms=0),
    "logback": Logger(
        lambda s, n: f"{s.at('%H:%M:%S.%f')} [main] {n:<5} o.a.c.Chat - {s.text}", JAVA, unit_ms=0
    ),
    "log4j": Logger(
        lambda s, n: f"{s.at('%Y-%m-%d %H:%M:%S,%f')} [nio-8080-exec-1] {n:<5} o.a.c.Chat - {s.text}", JAVA
    ),
    "spring": Logger(
        lambda s, n: (
            f"{s.at('%Y-%m-%dT%H:%M:%S.%f+00:00')} {n:>5} 21670 --- [chat] [nio-8080-exec-0] "
            f"o.a.c.c.C.[.[.[/]    : {s.text}"
        ),
        JAVA,
    ),
    "tomcat": Logger(
        lambda s, n: (
            f"{s.at('%d-%b-%Y %H:%M:%S.%f')} {n} [http-nio-8080-exec-1] org.apache.coyote.Chat.on {s.text}"
        ),
        ("FINE", "INFO", "WARNING", "SEVERE", "SEVERE"),
    ),
    "jetty": Logger(lambda s, n: f"{s.at('%Y-%m-%d %H:%M:%S.%f')}:{n}:oejs.Server:main: {s.text}", JAVA),
    "dotnet": Logger(
        lambda s, n: f"{n}: Microsoft.AspNetCore.Server.Kestrel[13]\n      {s.text}",
        ("dbug", "info", "warn", "fail", "crit"),
        unit_ms=0,
    ),
    "serilog": Logger(lambda s, n: f"[{s.at('%H:%M:%S')} {n}] {s.text}", SHORT, unit_ms=0),
    "serilog file": Logger(lambda s, n: f"{s.at('%Y-%m-%d %H:%M:%S.%f +00:00')} [{n}] {s.text}", SHORT),
    "nlog": Logger(lambda s, n: f"{s.at('%Y-%m-%d %H:%M:%S.%f')}4|{n}|Chat.Hub|{s.text}", JAVA),
    "elixir": Logger(lambda s, n: f"{s.at('%H:%M:%S.%f')} request_id=F3x [{n}] {s.text}", LOWER, unit_ms=0),
    "rails": Logger(lambda s, n: f"{n[0]}, [{s.at('%Y-%m-%dT%H:%M:%S.%f')}000 #21]  {n} -- : {s.text}", JAVA),
    "env_logger": Logger(
        lambda s, n: f"[{s.at('%Y-%m-%dT%H:%M:%SZ')} {n} chat::ws] {s.text}", JAVA, unit_ms=1_000
    ),
    "tracing": Logger(
        lambda s, n: (
            f"\x1b[2m{s.iso}\x1b[0m \x1b[31m{n:>5}\x1b[0m \x1b[2mchat::ws\x1b[0m\x1b[2m:\x1b[0m {s.text}"
        ),
        JAVA,
    ),
    "monolog": Logger(lambda s, n: f"[{s.at('%Y-%m-%dT%H:%M:%S.%f')}000+00:00] chat.{n}: {s.text}"),
    "php-fpm": Logger(
        lambda s, n: f"[{s.at('%d-%b-%Y %H:%M:%S')}] {n}: {s.text}",
        ("DEBUG", "NOTICE", "WARNING", "ERROR", "ALERT"),
        unit_ms=1_000,
    ),
    "nginx": Logger(
        lambda s, n: f"{s.at('%Y/%m/%d %H:%M:%S')} [{n}] 31#31: *118 {s.text}",
        ("debug", "info", "warn", "error", "crit"),
        unit_ms=1_000,
    ),
    "envoy": Logger(
        lambda s, n: (
            f"[{s.at('%Y-%m-%d %H:%M:%S.%f')}][12][{n}][connection] [source/common/x.cc:12] {s.text}"
        ),
        LOWER,
    ),
    "caddy": Logger(
        lambda s, n: f"{s.at('%Y/%m/%d %H:%M:%S.%f')}\t{n}\thttp.handlers.reverse_proxy\t{s.text}", JAVA
    ),
    "apache": Logger(
        lambda s, n: (
            f"[{s.at('%a %b %d %H:%M:%S.%f')}456 {s.at('%Y')}] [proxy:{n}] "
            f"[pid 12:tid 140] [client 10.0.0.7:4] {s.text}"
        ),
        ("debug", "info", "warn", "error", "crit"),
        unit_ms=1_000,
    ),
    "postgres": Logger(
        lambda s, n: f"{s.at('%Y-%m-%d %H:%M:%S.%f')} UTC [12] {n}:  {s.text}",
        ("DEBUG", "LOG", "WARNING", "ERROR", "PANIC"),
    ),
    # JSON
    "python-json-logger": Logger(
        lambda s, n: _json(asctime=s.at("%Y-%m-%d %H:%M:%S,%f"), levelname=n, name=s.logger, message=s.text),
        json=True,
    ),
    "structlog json": Logger(lambda s, n: _json(event=s.text, level=n, timestamp=s.iso), LOWER, json=True),
    "ecs": Logger(
        lambda s, n: _json(
            **{"@timestamp": s.iso, "log.level": n, "message": s.text, "log": {"logger": s.logger}}
        ),
        LOWER,
        json=True,
    ),
    "ecs nested": Logger(
        lambda s, n: _json(
            **{"@timestamp": s.iso, "message": s.text, "log": {"level": n, "logger": s.logger}}
        ),
        JAVA,
        json=True,
    ),
    "loguru json": Logger(
        lambda s, n: _json(
            text=f"{s.iso} | {n} | {s.text}\n",
            record={
                "level": {"name": n, "no": 0},
                "message": s.text,
                "name": s.logger,
                "time": {"timestamp": s.at_ms / 1_000},
                "exception": None,
            },
        ),
        json=True,
    ),
    "pino": Logger(
        lambda s, n: _json(level=int(n), time=s.at_ms, pid=1, hostname="h", msg=s.text),
        ("20", "30", "40", "50", "60"),
        json=True,
    ),
    "bunyan": Logger(
        lambda s, n: _json(name=s.logger, hostname="h", pid=1, level=int(n), msg=s.text, time=s.iso, v=0),
        ("20", "30", "40", "50", "60"),
        json=True,
    ),
    "winston json": Logger(lambda s, n: _json(level=n, message=s.text, timestamp=s.iso), GO, json=True),
    "zap": Logger(
        lambda s, n: _json(level=n, ts=s.at_ms / 1_000, caller="a.go:1", msg=s.text), GO, json=True
    ),
    "zerolog": Logger(
        lambda s, n: _json(level=n, time=s.at_ms // 1_000, message=s.text), GO, unit_ms=1_000, json=True
    ),
    "slog json": Logger(
        lambda s, n: _json(time=s.iso, level=n, msg=s.text),
        ("DEBUG", "INFO", "WARN", "ERROR", "ERROR+4"),
        json=True,
    ),
    "log15": Logger(
        lambda s, n: _json(t=s.iso, lvl=int(n), msg=s.text), ("4", "3", "2", "1", "0"), json=True
    ),
    "log4j2": Logger(
        lambda s, n: _json(
            instant={"epochSecond": s.at_ms // 1_000, "nanoOfSecond": s.at_ms % 1_000 * 10**6},
            level=n,
            loggerName=s.logger,
            message=s.text,
        ),
        JAVA,
        json=True,
    ),
    "logstash": Logger(
        lambda s, n: _json(
            **{
                "@timestamp": s.iso,
                "@version": "1",
                "message": s.text,
                "logger_name": s.logger,
                "level": n,
                "level_value": 0,
            }
        ),
        JAVA,
        json=True,
    ),
    "serilog compact": Logger(
        lambda s, n: _json(**{"@t": s.iso, "@m": s.text} | ({"@l": n} if n else {})),
        ("Debug", "", "Warning", "Error", "Fatal"),
        json=True,
    ),
    "dotnet json": Logger(
        lambda s, n: _json(Timestamp=s.iso, EventId=1, LogLevel=n, Category="Chat.Hub", Message=s.text),
        ("Debug", "Information", "Warning", "Error", "Critical"),
        json=True,
    ),
    "gelf": Logger(
        lambda s, n: _json(
            version="1.1", host="h", short_message=s.text, timestamp=s.at_ms / 1_000, level=int(n)
        ),
        ("7", "6", "4", "3", "2"),
        json=True,
    ),
    "opentelemetry": Logger(
        lambda s, n: _json(
            timeUnixNano=str(s.at_ms * 10**6), severityNumber=int(n), body={"stringValue": s.text}
        ),
        ("5", "9", "13", "17", "21"),
        json=True,
    ),
    "opentelemetry export": Logger(
        lambda s, n: _json(
            resourceLogs=[
                {
                    "scopeLogs": [
                        {
                            "logRecords": [
                                {
                                    "timeUnixNano": str(s.at_ms * 10**6),
                                    "severityText": n,
                                    "body": {"stringValue": s.text},
                                }
                            ]
                        }
                    ]
                }
            ]
        ),
        ("DEBUG", "INFO", "WARN", "ERROR", "FATAL"),
        json=True,
    ),
    "datadog": Logger(
        lambda s, n: _json(timestamp=s.at_ms, status=n, message=s.text, service="chat"),
        ("debug", "info", "warn", "error", "critical"),
        json=True,
    ),
    "cloud logging": Logger(
        lambda s, n: _json(time=s.iso, severity=n, message=s.text),
        ("DEBUG", "NOTICE", "WARNING", "ERROR", "ALERT"),
        json=True,
    ),
    "monolog json": Logger(
        lambda s, n: _json(
            message=s.text,
            context={},
            level=int(n),
            level_name={"100": "DEBUG", "200": "INFO", "300": "WARNING", "400": "ERROR", "500": "CRITICAL"}[
                n
            ],
            channel="chat",
            datetime=s.iso,
        ),
        ("100", "200", "300", "400", "500"),
        json=True,
    ),
    "tracing json": Logger(
        lambda s, n: _json(timestamp=s.iso, level=n, fields={"message": s.text}, target="chat::ws"),
        ("DEBUG", "INFO", "WARN", "ERROR", "ERROR"),
        json=True,
    ),
    "caddy json": Logger(
        lambda s, n: _json(level=n, ts=s.at_ms / 1_000, logger="http", msg=s.text), GO, json=True
    ),
    "journald": Logger(
        lambda s, n: _json(__REALTIME_TIMESTAMP=str(s.at_ms * 1_000), PRIORITY=n, MESSAGE=s.text).replace(
            '".REALTIME', '"__REALTIME'
        ),
        ("7", "6", "4", "3", "2"),
        json=True,
    ),
}
"""Loggers. Two of them write WARNING's names for levels that they do not have."""


@dataclass(frozen=True)
class Carrier:
    """A carrier.

    Args:
        wrap: returns the log of lines with their times in milliseconds, which come by one source.
        unit_ms: how exact its times are, 0 if it has none.
        text_only: whether lines of JSON come otherwise.
    """

    wrap: Callable[[Sequence[tuple[str, Said]]], str]
    unit_ms: int = 1
    text_only: bool = False


def _each(write: Callable[[str, Said], str]) -> Callable[[Sequence[tuple[str, Said]]], str]:
    return lambda lines: "".join(write(line, said) + "\n" for line, said in lines)


def _entry(line: str, said: Said, **fields: object) -> dict[str, object]:
    return {"textPayload": line, "timestamp": said.iso, "logName": "projects/p/logs/stderr", **fields}


def _csv(lines: Sequence[tuple[str, Said]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["timestamp", "severity", "text_payload"])
    writer.writerows([said.iso, "", line] for line, said in lines)
    return file.getvalue()


def _yaml(lines: Sequence[tuple[str, Said]]) -> str:
    return "".join(
        f"---\ninsertId: a{number}\nresource:\n  labels:\n    service_name: chat\n"
        f"textPayload: {json.dumps(line, ensure_ascii=False)}\ntimestamp: '{said.iso}'\n"
        for number, (line, said) in enumerate(lines)
    )


CARRIERS: dict[str, Carrier] = {
    "plain": Carrier(_each(lambda line, _: line), unit_ms=0),
    "docker compose": Carrier(_each(lambda line, _: f"chat-1  | {line}"), unit_ms=0),
    "docker compose -t": Carrier(_each(lambda line, said: f"chat-1  | {said.iso} {line}")),
    "docker service": Carrier(_each(lambda line, _: f"app_chat.1.x2yz@node-1    | {line}"), unit_ms=0),
    "docker json-file": Carrier(
        _each(lambda line, said: json.dumps({"log": line + "\n", "stream": "stderr", "time": said.iso}))
    ),
    "kubectl --timestamps": Carrier(_each(lambda line, said: f"{said.iso} {line}")),
    "kubectl --prefix": Carrier(_each(lambda line, _: f"[pod/chat-7d9f6c5b4-x2x9z/chat] {line}"), unit_ms=0),
    "kubectl --prefix --timestamps": Carrier(
        _each(lambda line, said: f"[pod/chat-7d9f6c5b4-x2x9z/chat] {said.iso} {line}")
    ),
    "stern": Carrier(_each(lambda line, _: f"chat-7d9f6c5b4-x2x9z chat {line}"), unit_ms=0),
    "cri": Carrier(_each(lambda line, said: f"{said.iso} stderr F {line}")),
    "journalctl": Carrier(
        _each(lambda line, said: f"{said.at('%b %d %H:%M:%S')} host-1 chat[912]: {line}"), unit_ms=1_000
    ),
    "journalctl -o short-iso": Carrier(
        _each(lambda line, said: f"{said.at('%Y-%m-%dT%H:%M:%S+0000')} host-1 chat[912]: {line}"),
        unit_ms=1_000,
    ),
    "journalctl -o short-full": Carrier(
        _each(lambda line, said: f"{said.at('%a %Y-%m-%d %H:%M:%S UTC')} host-1 chat[912]: {line}"),
        unit_ms=1_000,
    ),
    "syslog RFC 3164": Carrier(
        _each(lambda line, said: f"<14>{said.at('%b %d %H:%M:%S')} host-1 chat[912]: {line}"), unit_ms=1_000
    ),
    "syslog RFC 5424": Carrier(_each(lambda line, said: f"<14>1 {said.iso} host-1 chat 912 - - {line}")),
    "heroku": Carrier(
        _each(lambda line, said: f"{said.at('%Y-%m-%dT%H:%M:%S.%f000+00:00')} app[web.1]: {line}")
    ),
    "fly": Carrier(_each(lambda line, said: f"{said.iso} app[148e21b2c45d89] ams [info]{line}")),
    "aws logs tail": Carrier(
        _each(
            lambda line, said: f"{said.at('%Y-%m-%dT%H:%M:%S.%f000+00:00')} ecs/chat/0123456789abcdef {line}"
        )
    ),
    "aws logs tail --format short": Carrier(
        _each(lambda line, said: f"{said.at('%Y-%m-%dT%H:%M:%S')} {line}"), unit_ms=1_000
    ),
    "aws logs get-log-events": Carrier(
        lambda lines: json.dumps(
            {
                "events": [
                    {"timestamp": s.at_ms, "message": line, "ingestionTime": s.at_ms + 2_000}
                    for line, s in lines
                ],
                "nextToken": "f/1",
            },
            indent=4,
        )
    ),
    "gcloud run services logs read": Carrier(
        _each(lambda line, said: f"{said.at('%Y-%m-%d %H:%M:%S')} {line}"), unit_ms=1_000
    ),
    "gcloud --format=json": Carrier(
        lambda lines: json.dumps([_entry(line, said) for line, said in reversed(lines)], indent=2)
    ),
    "gcloud gke": Carrier(
        lambda lines: json.dumps([_entry(line, said, severity="ERROR") for line, said in lines])
    ),
    "gcloud yaml": Carrier(_yaml),
    "gcloud csv": Carrier(_csv),
    "gcloud value": Carrier(_each(lambda line, said: f"{said.iso}\t\t{line}")),
    "loki": Carrier(_each(lambda line, said: f'{said.iso} {{app="chat", pod="chat-1"}} {line}')),
    "fluent bit": Carrier(
        _each(
            lambda line, said: json.dumps(
                {"date": said.at_ms / 1_000, "log": line, "kubernetes": {"pod_name": "chat-1"}}
            )
        )
    ),
    "azure": Carrier(
        _each(lambda line, said: json.dumps({"TimeStamp": said.at("%Y-%m-%d %H:%M:%S.%f"), "Log": line}))
    ),
}
