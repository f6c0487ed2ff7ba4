/** Code snippets for the same call outside of the dashboard. Pure. */

import { isFields, type Json, write } from "./message";

export interface Target {
  /** Host and port. */
  address: string;
  tls: boolean;
  /** Metadata that selects the version. */
  metadata: [string, string][];
  /** Whether the call needs a token, which the snippet reads from `KRT_TOKEN`. */
  token: boolean;
  /** `/package.Service/Method` */
  method: string;
  /** Whether the answer is a stream of messages. */
  streams: boolean;
  message: Json;
}

/** The address of the version; the host of an address for all interfaces is that of the page. */
export function target(
  server: { mode: string; public_address: string; public_tls: boolean },
  version: { runtime: string; name: string; state: string },
  here: string,
): Omit<Target, "method" | "streams" | "message"> {
  const address = server.public_address.replace(/^(0\.0\.0\.0|\[::\])(?=:)/, here);
  const base = { address, tls: server.public_tls };
  if (server.mode === "run") return { ...base, metadata: [], token: false };
  const published = version.state === "PUBLISHED";
  return {
    ...base,
    metadata: [
      ["krt-runtime", version.runtime],
      ...(published ? [] : [["krt-version", version.name] as [string, string]]),
    ],
    token: !published,
  };
}

export const LANGUAGES = { grpcurl: "grpcurl", curl: "curl", python: "Python", go: "Go" } as const;
export type Language = keyof typeof LANGUAGES;

export function snippet(language: Language, target: Target): string {
  switch (language) {
    case "grpcurl":
      return grpcurl(target);
    case "curl":
      return curl(target);
    case "python":
      return python(target);
    case "go":
      return go(target);
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function headers({ metadata, token }: Target): string[] {
  const plain = metadata.map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  return token ? [...plain, `-H "authorization: Bearer $KRT_TOKEN"`] : plain;
}

const url = ({ tls, address, method }: Pick<Target, "tls" | "address" | "method">) =>
  `${tls ? "https" : "http"}://${address}${method}`;

/** The address of a model for clients of the Open Inference Protocol; those of gRPC need the host and the port only. */
export function modelUrl(target: Pick<Target, "tls" | "address">, model: string): string {
  return url({ ...target, method: `/v2/models/${model}` });
}

function grpcurl(target: Target): string {
  return [
    `grpcurl${target.tls ? "" : " -plaintext"}`,
    ...headers(target),
    `-d ${quoted(write(target.message))}`,
    `${target.address} ${target.method.slice(1)}`,
  ].join(" \\\n  ");
}

function curl(target: Target): string {
  return [
    `curl ${target.streams ? "-N " : ""}${url(target)}`,
    "-H 'content-type: application/json'",
    ...(target.streams ? ["-H 'accept: text/event-stream'"] : []),
    ...headers(target),
    `-d ${quoted(write(target.message))}`,
  ].join(" \\\n  ");
}

function python(target: Target): string {
  const lines = [
    '"content-type": "application/json",',
    ...(target.streams ? ['"accept": "text/event-stream",'] : []),
    ...target.metadata.map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)},`),
    ...(target.token ? [`"authorization": f"Bearer {os.environ['KRT_TOKEN']}",`] : []),
  ];
  return `import json
${target.token ? "import os\n" : ""}from urllib.request import Request, urlopen

message = ${literal(target.message)}
request = Request(
    ${JSON.stringify(url(target))},
    data=json.dumps(message).encode(),
    headers={
        ${lines.join("\n        ")}
    },
)
with urlopen(request) as response:
${target.streams ? PYTHON_EVENTS : "    print(json.load(response))\n"}`;
}

/** Messages come first; the last event is the status. */
const PYTHON_EVENTS = `    for line in response:
        if line.startswith(b"data: "):
            print(json.loads(line[6:]), flush=True)
`;

/** A value as a Python literal. */
function literal(value: Json, indent = ""): string {
  const deeper = `${indent}    `;
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) {
    const flat = `[${value.map((item) => literal(item)).join(", ")}]`;
    if (flat.length <= 88 && !flat.includes("\n")) return flat;
    if (value.every((item) => typeof item === "number")) return write(value, indent);
    return `[\n${value.map((item) => `${deeper}${literal(item, deeper)},`).join("\n")}\n${indent}]`;
  }
  if (isFields(value)) {
    const fields = Object.entries(value);
    if (fields.length === 0) return "{}";
    const lines = fields.map(([name, item]) => `${deeper}${JSON.stringify(name)}: ${literal(item, deeper)},`);
    return `{\n${lines.join("\n")}\n${indent}}`;
  }
  return JSON.stringify(value);
}

/** A string as a Go literal: raw, unless its content prevents that. */
function goText(text: string): string {
  return text.includes("`") ? JSON.stringify(text) : `\`${text}\``;
}

function go(target: Target): string {
  const set = [
    `request.Header.Set("Content-Type", "application/json")`,
    ...(target.streams ? [`request.Header.Set("Accept", "text/event-stream")`] : []),
    ...target.metadata.map(
      ([name, value]) => `request.Header.Set(${JSON.stringify(name)}, ${JSON.stringify(value)})`,
    ),
    ...(target.token ? [`request.Header.Set("Authorization", "Bearer "+os.Getenv("KRT_TOKEN"))`] : []),
  ];
  return `package main

import (
${target.streams ? "" : '\t"fmt"\n'}	"io"
	"log"
	"net/http"${target.token || target.streams ? '\n\t"os"' : ""}
	"strings"
)

func main() {
	message := ${goText(write(target.message))}
	request, err := http.NewRequest("POST", ${JSON.stringify(url(target))}, strings.NewReader(message))
	if err != nil {
		log.Fatal(err)
	}
	${set.join("\n\t")}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
${target.streams ? GO_EVENTS : GO_ANSWER}}
`;
}

const GO_ANSWER = `	answer, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Status, string(answer))
`;

/** Messages come first; the last event is the status. */
const GO_EVENTS = `	if _, err := io.Copy(os.Stdout, response.Body); err != nil {
		log.Fatal(err)
	}
`;
