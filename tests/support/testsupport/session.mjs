// One debugging session with Microsoft's client for debug adapters, which VS Code's own adapters are tested with.
//
// node session.mjs PORT TOKEN FILE LINE: attaches through the gatekeeper, opens the session of the worker that it is
// asked to open, stops at the breakpoint, looks at the locals, steps and continues. Each step is one line of JSON on
// standard output. The client stops with an error at the first answer that is none.

import testsupport from "@vscode/debugadapter-testsupport";

const [port, token, file, line] = process.argv.slice(2);

/** A client that answers what it is asked: Microsoft's own leaves that to the IDE around it. */
class Client extends testsupport.DebugClient {
  dispatch(body) {
    const message = JSON.parse(body);
    if (message.type !== "request") {
      super.dispatch(body);
      return;
    }
    const answer = { seq: 0, type: "response", request_seq: message.seq, success: true, command: message.command };
    const text = JSON.stringify(answer);
    this.outputStream.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
    this.emit(message.command, message.arguments);
  }
}

function tell(step, fields = {}) {
  console.log(JSON.stringify({ step, ...fields }));
}

async function attached(configuration, expectsStop = false) {
  const client = new Client("", "", "debugpy");
  client.defaultTimeout = 10000;
  await client.start(Number(port));
  const { body: capabilities } = await client.initializeRequest({
    adapterID: "debugpy",
    clientID: "vscode",
    linesStartAt1: true,
    columnsStartAt1: true,
    pathFormat: "path",
    supportsStartDebuggingRequest: true,
  });
  const attach = client.attachRequest(configuration);
  await client.waitForEvent("initialized");
  const { body } = await client.setBreakpointsRequest({
    source: { path: file },
    breakpoints: [{ line: Number(line) }],
  });
  // Listened for from before it can come: the client forgets events that nobody waits for.
  const stopped = expectsStop && client.assertStoppedLocation("breakpoint", { path: file, line: Number(line) });
  await client.configurationDoneRequest();
  await attach;
  return { client, capabilities, breakpoints: body.breakpoints, stopped };
}

const root = await attached({ connect: { host: "127.0.0.1", port: Number(port) }, stagedoorToken: token });
const asked = new Promise((resolve) => root.client.once("startDebugging", resolve));
tell("attached", { filters: root.capabilities.exceptionBreakpointFilters.map((filter) => filter.label) });

const { configuration, request } = await asked;
const child = await attached(configuration, true);
tell("opened", { request, name: configuration.name, verified: child.breakpoints[0].verified });

const stopped = await child.stopped;
const frame = stopped.body.stackFrames[0];
const { body: scopes } = await child.client.scopesRequest({ frameId: frame.id });
const { variablesReference } = scopes.scopes.find((scope) => scope.name === "Locals");
const { body: locals } = await child.client.variablesRequest({ variablesReference });
tell("stopped", {
  frame: frame.name,
  locals: Object.fromEntries(locals.variables.map((variable) => [variable.name, variable.value])),
});

const { body: threads } = await child.client.threadsRequest();
const [{ id: threadId }] = threads.threads;
await Promise.all([
  child.client.assertStoppedLocation("step", { path: file, line: Number(line) + 1 }),
  child.client.nextRequest({ threadId }),
]);
tell("stepped", { threads: threads.threads.map((thread) => thread.name) });

await child.client.continueRequest({ threadId });
tell("continued");

await child.client.disconnectRequest();
await root.client.disconnectRequest();
tell("disconnected");
process.exit(0);
