// One debugging session with Microsoft's client for debug adapters, which VS Code's own adapters are tested with.
//
// node session.mjs PORT TOKEN FILE LINE CHILDREN: attaches through the gatekeeper, stops at the breakpoint in two
// requests, looks at the locals of both, steps and continues one of them, and leaves while the other is paused. Each step
// is one line of JSON on standard output. The client stops with an error at the first answer that is none, and at any
// request of the server's: with CHILDREN "yes" it says that it could start sessions below its own.

import testsupport from "@vscode/debugadapter-testsupport";

const [port, token, file, line, children] = process.argv.slice(2);

/** A client that is asked for nothing. */
class Client extends testsupport.DebugClient {
  dispatch(body) {
    const message = JSON.parse(body);
    if (message.type === "request") {
      throw new Error(`the server asks for ${message.command}`);
    }
    super.dispatch(body);
  }
}

function tell(step, fields = {}) {
  console.log(JSON.stringify({ step, ...fields }));
}

const client = new Client("", "", "debugpy");
client.defaultTimeout = 10000;
await client.start(Number(port));
const { body: capabilities } = await client.initializeRequest({
  adapterID: "debugpy",
  clientID: "vscode",
  linesStartAt1: true,
  columnsStartAt1: true,
  pathFormat: "path",
  ...(children === "yes" ? { supportsStartDebuggingRequest: true } : {}),
});
const attach = client.attachRequest({ connect: { host: "127.0.0.1", port: Number(port) }, stagedoorToken: token });
await client.waitForEvent("initialized");
const { body } = await client.setBreakpointsRequest({ source: { path: file }, breakpoints: [{ line: Number(line) }] });
// Listened for from before it can come: the client forgets events that nobody waits for.
const verified = new Promise((resolve) =>
  client.on("breakpoint", ({ body: { breakpoint } }) => breakpoint.verified && resolve(breakpoint)),
);
const stops = [];
const waiting = [];
client.on("stopped", (event) => (waiting.length ? waiting.shift()(event.body) : stops.push(event.body)));
const nextStop = () => (stops.length ? stops.shift() : new Promise((resolve) => waiting.push(resolve)));
await client.configurationDoneRequest();
await attach;
tell("attached", {
  filters: capabilities.exceptionBreakpointFilters.map((filter) => filter.label),
  verified: body.breakpoints[0].verified,
});

async function looked({ threadId, reason }) {
  const { body: stack } = await client.stackTraceRequest({ threadId });
  const [frame] = stack.stackFrames;
  const { body: found } = await client.scopesRequest({ frameId: frame.id });
  const { variablesReference } = found.scopes.find((scope) => scope.name === "Locals");
  const { body: locals } = await client.variablesRequest({ variablesReference });
  const { body: all } = await client.threadsRequest();
  return {
    reason,
    frame: frame.name,
    line: frame.line,
    query: locals.variables.find((variable) => variable.name === "query").value,
    thread: all.threads.find((thread) => thread.id === threadId).name,
  };
}

const first = await nextStop();
tell("stopped", await looked(first));
const breakpoint = await verified;
tell("verified", { same: breakpoint.id === body.breakpoints[0].id });
const second = await nextStop();
tell("stopped too", await looked(second));

const { threadId } = first;
await client.nextRequest({ threadId });
tell("stepped", await looked(await nextStop()));
await client.continueRequest({ threadId });
tell("continued");

const over = client.waitForEvent("terminated");
await client.disconnectRequest();
await over;
tell("disconnected");
process.exit(0);
