// A turret in JavaScript: node turret.js config.json
//
// It hears the orders of an HQ on a SUB socket, says how it is on a PUSH socket, and sends one result for each iteration.
"use strict";

const crypto = require("crypto");
const fs = require("fs");
const zmq = require("zeromq");

const config = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const uuid = crypto.randomUUID();
let state = "ready";
let began = 0;

// What a user does; replace it with your own.
async function transaction(timers) {
  const start = process.hrtime.bigint();
  await new Promise((resolve) => setTimeout(resolve, 5));
  timers["wait"] = seconds(start);
}

function seconds(start) {
  return Number(process.hrtime.bigint() - start) / 1e9;
}

// A PUSH socket sends one message at a time.
function sender(socket) {
  let last = Promise.resolve();
  return (message) => (last = last.then(() => socket.send(JSON.stringify(message))));
}

async function fire(number) {
  const push = new zmq.Push();
  push.connect(`tcp://${config.hq_address}:${config.hq_rc}`);
  await new Promise((resolve) => setTimeout(resolve, (1000 * (config.rampup || 0) * number) / config.cannons));
  while (state === "Running") {
    const timers = {};
    const start = process.hrtime.bigint();
    let error = "";
    try {
      await transaction(timers);
    } catch (problem) {
      error = String(problem.message || problem);
    }
    const now = Date.now() / 1000;
    const result = { elapsed: now - began, epoch: Math.floor(now), scriptrun_time: seconds(start), error, custom_timers: timers };
    await push.send(JSON.stringify(result));
  }
  push.close();
}

async function main() {
  const orders = new zmq.Subscriber();
  orders.connect(`tcp://${config.hq_address}:${config.hq_publisher}`);
  orders.subscribe("");
  const push = new zmq.Push();
  push.connect(`tcp://${config.hq_address}:${config.hq_rc}`);
  const say = sender(push);
  const tell = () =>
    say({ turret: config.name, status: state, uuid, rampup: config.rampup || 0, script: "turret.js", cannons: config.cannons });
  setInterval(() => state === "ready" && tell(), 2000);
  let cannons = [];
  await tell();
  for await (const [frame] of orders) {
    // One frame: the channel, which is empty for all turrets, a blank, and JSON.
    const text = frame.toString();
    if (!text.startsWith(" ")) continue;
    const order = JSON.parse(text.slice(1));
    if (order.command === "status_request") await tell();
    if (order.command === "start" && state === "ready") {
      state = "Running";
      began = Date.now() / 1000;
      await tell();
      cannons = Array.from({ length: config.cannons }, (_, number) => fire(number));
    }
    if (order.command === "stop" && state === "Running") {
      state = "stopping";
      await Promise.all(cannons);
      state = "ready";
      await tell();
    }
    if (order.command === "kill") process.exit(1);
  }
}

main();
