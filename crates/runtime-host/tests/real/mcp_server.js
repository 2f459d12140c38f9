// A small MCP server over standard streams: one tool that tells what this process was given.
let rest = "";
const answer = (id, result) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", id, result }) + "\n");
process.stdin.on("data", (chunk) => {
  rest += chunk;
  for (let end; (end = rest.indexOf("\n")) >= 0; rest = rest.slice(end + 1)) {
    const { id, method, params } = JSON.parse(rest.slice(0, end));
    if (method === "initialize") {
      answer(id, {
        protocolVersion: params.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: "clock", version: "1.0.0" },
      });
    } else if (method === "tools/list") {
      const inputSchema = { type: "object", properties: {} };
      answer(id, { tools: ["now", "set", "wipe"].map((name) => ({ name, description: name, inputSchema })) });
    } else if (method === "tools/call") {
      const seen = { password: process.env.OPENCODE_SERVER_PASSWORD || "none", token: process.env.CLOCK_TOKEN };
      answer(id, { content: [{ type: "text", text: "twelve o'clock " + JSON.stringify(seen) }] });
    } else if (id !== undefined) {
      answer(id, {});
    }
  }
});
