import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { modelUrl, snippet, type Target, target as targetOf } from "./snippets";

const target: Target = {
  address: "127.0.0.1:9000",
  tls: false,
  metadata: [["krt-runtime", "greeter"]],
  token: false,
  method: "/greeter.Entrypoint/Greet",
  streams: false,
  message: { name: "Ada's" },
};

test("grpcurl", () => {
  expect(snippet("grpcurl", target)).toBe(`grpcurl -plaintext \\
  -H 'krt-runtime: greeter' \\
  -d '{
  "name": "Ada'\\''s"
}' \\
  127.0.0.1:9000 greeter.Entrypoint/Greet`);
});

test("with TLS and a token", () => {
  const secret = { ...target, tls: true, token: true };
  expect(snippet("grpcurl", secret)).not.toContain("-plaintext");
  expect(snippet("curl", secret)).toContain("curl https://127.0.0.1:9000/greeter.Entrypoint/Greet");
  for (const language of ["grpcurl", "curl", "python", "go"] as const)
    expect(snippet(language, secret)).toContain("KRT_TOKEN");
});

test("a model has an address of its own", () => {
  expect(modelUrl(target, "classify")).toBe("http://127.0.0.1:9000/v2/models/classify");
  expect(modelUrl({ ...target, tls: true }, "classify")).toBe("https://127.0.0.1:9000/v2/models/classify");
});

test("streams are read as events", () => {
  for (const language of ["curl", "python", "go"] as const) {
    expect(snippet(language, target)).not.toContain("event-stream");
    expect(snippet(language, { ...target, streams: true })).toContain("text/event-stream");
  }
});

test("text in Go may have characters that raw text cannot", () => {
  expect(snippet("go", { ...target, message: { name: "a`b" } })).toContain(
    'message := "{\\n  \\"name\\": \\"a`b\\"\\n}"',
  );
});

/** The request that arrives when the snippet runs. */
async function arrives(
  run: (address: string) => [string, string[]],
  reply = "{}",
): Promise<{ path: string; runtime: unknown; body: unknown; printed: string }> {
  let resolve: (found: { path: string; runtime: unknown; body: unknown }) => void = () => undefined;
  const promise = new Promise<{ path: string; runtime: unknown; body: unknown }>((found) => {
    resolve = found;
  });
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => {
      body += part;
    });
    request.on("end", () => {
      response.end(reply);
      resolve({ path: request.url ?? "", runtime: request.headers["krt-runtime"], body: JSON.parse(body) });
    });
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const [program, args] = run(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  const { spawn } = await import("node:child_process");
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  let printed = "";
  child.stdout.on("data", (part) => {
    printed += part;
  });
  const found = await promise;
  await new Promise((ended) => child.on("close", ended));
  server.close();
  return { ...found, printed };
}

const message = {
  name: "O'Brien “x” \\ \n`",
  on: true,
  off: false,
  none: null,
  list: ["a", "b"],
  pixels: Array.from({ length: 64 }, (_, i) => i % 17),
  deep: { er: [{ x: 1.5 }], empty: {} },
};

function has(program: string): boolean {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

test.skipIf(!has("python3"))("Python sends the message unchanged", async () => {
  const found = await arrives((address) => [
    "python3",
    ["-c", snippet("python", { ...target, address, message })],
  ]);
  expect(found).toMatchObject({ path: target.method, runtime: "greeter", body: message });
});

test.skipIf(!has("python3"))("Python prints the messages of a stream", async () => {
  const reply = 'data: {"text": "a"}\n\nevent: status\ndata: {"code": "ok"}\n\n';
  const { printed } = await arrives(
    (address) => ["python3", ["-c", snippet("python", { ...target, address, message, streams: true })]],
    reply,
  );
  expect(printed).toBe("{'text': 'a'}\n{'code': 'ok'}\n");
});

test.skipIf(!has("curl"))("curl sends the message unchanged", async () => {
  const found = await arrives((address) => [
    "sh",
    ["-c", `${snippet("curl", { ...target, address, message })} -s`],
  ]);
  expect(found).toMatchObject({ path: target.method, runtime: "greeter", body: message });
});

test.each([
  ["serve", "PUBLISHED", [["krt-runtime", "digits"]], false],
  [
    "serve",
    "STARTED",
    [
      ["krt-runtime", "digits"],
      ["krt-version", "v1"],
    ],
    true,
  ],
  ["run", "PUBLISHED", [], false],
] as const)("krt %s, %s", (mode, state, metadata, token) => {
  const server = { mode, public_address: "0.0.0.0:9000", public_tls: true };
  const found = targetOf(server, { runtime: "digits", name: "v1", state }, "krt.example.org");
  expect(found).toEqual({ address: "krt.example.org:9000", tls: true, metadata, token });
});
