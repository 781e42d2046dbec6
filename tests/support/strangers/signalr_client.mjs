/*
 * Microsoft's own client talks to signalr.mjs: what it gets is printed as JSON.
 *
 *     node tests/support/strangers/signalr_client.mjs URL
 */

import { HubConnectionBuilder, LogLevel } from "@microsoft/signalr";

const connection = new HubConnectionBuilder()
  .withUrl(process.argv[2], { accessTokenFactory: () => "secret" })
  .configureLogging(LogLevel.Warning)
  .build();

let greeted = 0;
const said = new Promise((resolve) => connection.on("Said", resolve));
connection.on("Welcome", () => {
  greeted += 1;
  return "thanks";
});
await connection.start();

const result = await connection.invoke("Send", "é🙂");
const items = [];
await new Promise((complete, error) => {
  connection.stream("Spell", "x".repeat(50)).subscribe({ next: (item) => items.push(item), complete, error });
});
await connection.send("Say", "hello");
const error = await connection.invoke("Nothing").catch((problem) => problem.message);
console.log(JSON.stringify({ result, items, said: await said, error, greeted }));
await connection.stop();
