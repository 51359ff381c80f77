// The API in readable form, made from the service's own OpenAPI description.

import { h } from "./dom.js";

const text = (value) => (value ?? "").replaceAll("`", "");

/** A type in a few words: "string", "list of Video", "number or null". */
function type(schema) {
  if (!schema) return "";
  if (schema.$ref) return name(schema.$ref);
  if (schema.anyOf) return schema.anyOf.map(type).join(" or ");
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.const !== undefined) return String(schema.const);
  if (schema.type === "array") return `list of ${type(schema.items) || "values"}`;
  return [schema.format === "date-time" ? "time" : schema.type, limits(schema)].filter(Boolean).join(", ");
}

function limits({ minimum, maximum, maxLength, default: preset }) {
  return [
    minimum !== undefined && `from ${minimum}`,
    maximum !== undefined && `to ${maximum}`,
    maxLength !== undefined && `up to ${maxLength} characters`,
    preset !== undefined && preset !== "" && preset !== null && `by default ${preset}`,
  ].filter(Boolean).join(" ");
}

const name = (reference) => reference.split("/").pop();
const link = (schema) => {
  const found = schema?.$ref ?? schema?.items?.$ref;
  return found ? h("a", { href: `#${name(found)}` }, type(schema)) : type(schema);
};

function table(caption, rows) {
  return rows.length > 0 && h(
    "table",
    {},
    h("caption", {}, caption),
    h("tbody", {}, rows.map(([first, kind, meaning]) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, first)), h("td", {}, kind), h("td", {}, text(meaning))))),
  );
}

function operation(path, method, said) {
  const answers = Object.entries(said.responses).filter(([status]) => status !== "422" || said.parameters);
  const body = said.requestBody && Object.keys(said.requestBody.content).join(", ");
  return h(
    "section",
    {},
    h("h3", {}, h("code", {}, `${method.toUpperCase()} ${path}`)),
    h("p", {}, text(said.description ?? said.summary)),
    table("Parameters", (said.parameters ?? []).map((p) => [p.name, `${p.in}; ${type(p.schema)}`, p.description])),
    body && h("p", {}, `Body: ${body}. ${text(said.requestBody.description)}`),
    table("Answers", answers.map(([status, answer]) => [status, link(Object.values(answer.content ?? {})[0]?.schema), answer.description])),
  );
}

function shape(title, schema) {
  const rows = Object.entries(schema.properties ?? {}).map(([key, field]) => [key, link(field), field.description]);
  return h("section", { id: title }, h("h3", {}, title), h("p", {}, text(schema.description)), schema.enum && h("p", {}, schema.enum.join(", ")), table("Fields", rows));
}

const main = document.getElementById("main");
try {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(String(answer.status));
  const api = await answer.json();
  main.append(
    h("h1", {}, `The API of lrnet ${api.info.version}`),
    h("p", {}, text(api.info.description)),
    h("h2", {}, "Requests"),
    ...Object.entries(api.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, said]) => operation(path, method, said))),
    h("h2", {}, "What answers hold"),
    ...Object.entries(api.components.schemas).filter(([, schema]) => schema.properties || schema.enum).map(([title, schema]) => shape(title, schema)),
  );
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
} catch {
  main.append(h("p", { class: "banner", role: "alert" }, "The description could not be read. Check that the service still runs, then load the page again."));
}
