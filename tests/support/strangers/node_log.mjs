// Writes a log as `pino` or `bunyan` does, which is the argument.
import bunyan from "bunyan";
import pino from "pino";

const logger =
  process.argv[2] === "pino"
    ? pino(pino.destination({ sync: true }))
    : bunyan.createLogger({ name: "chat", serializers: bunyan.stdSerializers });
logger.info("session opened");
logger.info("Client disconnected (code=1006)");
logger.warn("slow query");
logger.error("Client disconnected (code=1006)");
logger.error("chat backend is unreachable");
logger.error({ err: new TypeError("thread is undefined") }, "message could not be stored");
