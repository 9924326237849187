// Drives the dashboard in Chromium. Arguments: the dashboard's address, the password, the data planes' credential, the
// proxy's address, the folder for screenshots. A failed assertion ends the script.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [url, password, credential, proxy, screenshots] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const browser = await chromium.launch({
  executablePath: process.env.KEYSWAP_CHROMIUM,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});
const errors = [];

async function newPage(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    // Chromium also logs pages with an error status, which the tests expect.
    if (message.type() === "error" && !message.text().includes("the server responded with a status")) errors.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("data:")) errors.push(`loads ${request.url()}`);
  });
  return page;
}

async function signIn(page) {
  await page.goto(`${url}/admin`);
  assert.equal(new URL(page.url()).pathname, "/admin/sign-in");
  await page.getByLabel("Administrator's password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Overview", exact: true }).waitFor();
}

async function toTokens(page) {
  await page.getByRole("link", { name: "Tokens", exact: true }).click();
  await page.getByRole("heading", { name: "Tokens", exact: true }).waitFor();
}

/// Returns the record that data planes receive.
async function record(token) {
  const sha256 = createHash("sha256").update(token).digest("hex");
  const response = await fetch(`${url}/v1/tokens/${sha256}`, { headers: { authorization: `Bearer ${credential}` } });
  return response.status === 200 ? await response.json() : { status: response.status };
}

const status = async (token) => (await record(token)).status;
const limit = async (token) => (await record(token)).rate_limit;

/// Asserts that axe finds nothing and that the page does not scroll sideways, in both colour schemes and widths.
async function check(page, name) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const width of [1280, 360]) {
      await page.setViewportSize({ width, height: 900 });
      const place = `${name}-${colorScheme}-${width}`;
      await page.screenshot({ path: `${screenshots}/${place}.png`, fullPage: true });
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(over <= 0, `${place}: ${over} pixels too wide`);
      const run = "axe.run(document, { resultTypes: ['violations'] })";
      const { violations } = await page.evaluate(`${axe}; ${run}`);
      assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], place);
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 900 });
}

/// Reports usage of some days as a data plane does, and takes a part of a team's budget.
async function use() {
  const post = (path, body) => fetch(`${url}${path}`, {
    method: "POST", body: JSON.stringify(body),
    headers: { authorization: `Bearer ${credential}`, "content-type": "application/json" },
  });
  const rows = [];
  for (let day = 0; day < 6; day += 1) {
    const hour = `${new Date(Date.now() - day * 86_400_000).toISOString().slice(0, 13)}:00:00Z`;
    for (const [label, team, model, scale] of [
      ["alice-laptop", "research", "gpt-5", 5], ["build-pipeline", "platform", "claude-sonnet-5-5", 3],
      ["carol@acme.example", "research", "gemini-3-pro", 2], ["nightly evaluation of the retrieval index", null, "other", 1],
    ]) {
      const tokens = scale * (6 - day) * 100_000;
      rows.push({
        hour, sha256: createHash("sha256").update(label).digest("hex"), kind: "token", label, owner: `${label[0]}@acme.example`,
        team, provider: "openai", model, requests: scale * 20, unmetered: day === 3 ? 1 : 0, unpriced: model === "other" ? 5 : 0,
        input: tokens, cached: tokens / 2, output: tokens / 4, cost: model === "other" ? 0 : tokens * 4000,
      });
    }
  }
  assert.equal((await post("/v1/usage", { report: "ab".repeat(16), rows })).status, 204);
  const lease = { subject: "team:research", need: 3_000_000_000, budget: { usd: "50", per: "month", timezone: "Europe/Berlin" } };
  const answer = await (await post("/v1/leases", { node: "edge-1", leases: [lease] })).json();
  const told = { ...lease, id: answer.leases[0].id, spent: 12_000_000_000, need: 0 };
  assert.equal((await post("/v1/leases", { node: "edge-1", leases: [told] })).status, 200);
}

/// Looks at usage, and sets a budget.
async function usage(page) {
  await page.getByRole("link", { name: "Usage", exact: true }).click();
  await page.getByText("No usage.").first().waitFor();
  await check(page, "usage-none");
  await use();
  await page.getByRole("link", { name: "7 days" }).click();
  await page.getByRole("img", { name: "Cost by day" }).waitFor();
  await check(page, "usage");
  await page.getByText("Numbers").first().click();
  await page.getByRole("region", { name: "Numbers: Cost by day" }).waitFor();
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "FOCUS 1.2" }).click();
  assert.ok(readFileSync(await (await download).path(), "utf8").startsWith("BilledCost,"));
  await page.getByLabel("Owner or team").fill("research");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByRole("heading", { name: "Usage of team research" }).waitFor();
  await page.getByText("$50.00 per month (Europe/Berlin), by the policy of a data plane").waitFor();
  await page.getByText("$38.00").waitFor();
  await page.getByText("Set a budget…").click();
  await page.getByLabel("Amount").fill("much");
  await page.getByRole("button", { name: "Set budget" }).click();
  await page.getByText("invalid usd").waitFor();
  await page.getByText("Set a budget…").click();
  await page.getByLabel("Amount").fill("500");
  await page.getByLabel("For each").selectOption("week");
  await page.getByLabel("Time zone").fill("Europe/Berlin");
  await page.getByRole("button", { name: "Set budget" }).click();
  await page.getByText("$500.00 per week (Europe/Berlin)").waitFor();
  await page.getByText("Change the budget…").click();
  await check(page, "usage-team");
}

/// Edits a token while another administrator does, and undoes a change.
async function edit(page, token) {
  const other = await page.context().newPage();
  await other.goto(page.url());
  await other.getByRole("textbox", { name: "Team" }).fill("research");
  await other.getByRole("button", { name: "Save" }).click();
  await other.getByRole("definition").getByText("research").waitFor();
  await other.close();
  await page.getByRole("textbox", { name: "Owner" }).fill("bob@acme.example");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("alert").getByText("it was changed meanwhile").waitFor();
  assert.equal(await page.getByRole("textbox", { name: "Team" }).inputValue(), "research");
  await page.getByRole("textbox", { name: "Owner" }).fill("bob@acme.example");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("definition").getByText("bob@acme.example").waitFor();
  assert.deepEqual([(await record(token)).owner, (await record(token)).team], ["bob@acme.example", "research"]);
  await page.getByRole("button", { name: /^Undo token.set_owner/ }).first().click();
  await page.getByRole("definition").getByText("alice@acme.example").waitFor();
  assert.equal((await record(token)).owner, "alice@acme.example");
}

/// Disables all of a leaver.
async function offboard(page) {
  await page.getByRole("link", { name: "Users", exact: true }).click();
  await page.getByRole("link", { name: "Offboard a leaver" }).click();
  await check(page, "offboard-none");
  await page.getByLabel("Email").fill("alice@acme.example");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByRole("heading", { name: "Offboard alice@acme.example" }).waitFor();
  await check(page, "offboard");
  await page.getByRole("button", { name: "Disable 1 token" }).click();
  await page.getByText("Nothing of alice@acme.example is active.").waitFor();
}

/// Makes an API key, looks at it again, and revokes it.
async function apiKeys(page) {
  await page.getByRole("link", { name: "API keys", exact: true }).click();
  await page.getByText("No API keys.").waitFor();
  await check(page, "api-keys-none");
  await page.getByText("New API key").click();
  await page.getByLabel("Name").fill("terraform");
  await page.getByLabel("Role").selectOption("team_owner");
  await page.getByRole("button", { name: "Create API key" }).click();
  await page.getByRole("alert").getByText("needs 1 to 64 names of teams").waitFor();
  assert.deepEqual([await page.getByLabel("Name").inputValue(), await page.getByLabel("Role").inputValue()], ["terraform", "team_owner"]);
  await check(page, "api-key-refused");
  await page.getByRole("textbox", { name: "Teams" }).fill("red, blue");
  await page.getByRole("button", { name: "Create API key" }).click();
  await page.getByRole("heading", { name: "API key created" }).waitFor();
  const key = await page.locator("#secret").textContent();
  assert.match(key, /^kak_[\w-]{43}$/);
  const me = () => fetch(`${url}/admin/api/me`, { headers: { authorization: `Bearer ${key}` } });
  assert.equal((await (await me()).json()).role, "team_owner");
  await page.reload();
  assert.equal(await page.locator("#secret").textContent(), key);
  await check(page, "api-key-created");
  await page.getByRole("button", { name: "I have stored it" }).click();
  await page.getByRole("row").filter({ hasText: "terraform" }).getByText("team owner of blue, red").waitFor();
  assert.ok(!(await page.content()).includes(key));
  await page.getByText("Revoke…").click();
  await check(page, "api-keys");
  await page.getByRole("button", { name: "Revoke terraform" }).click();
  await page.getByText("No API keys.").waitFor();
  assert.equal((await me()).status, 401);
}

async function byMouse() {
  const page = await newPage({ permissions: ["clipboard-read", "clipboard-write"] });
  await page.goto(`${url}/admin/sign-in`);
  await check(page, "sign-in");
  await page.getByLabel("Administrator's password").fill("wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").getByText("the password is wrong").waitFor();
  await check(page, "sign-in-wrong");
  await signIn(page);
  await page.getByText("First steps").waitFor();
  await page.getByText("staging", { exact: true }).waitFor();
  await check(page, "overview-none");
  await toTokens(page);
  await check(page, "tokens-none");

  await page.getByText("New token").click();
  await check(page, "token-new");
  await page.getByRole("textbox", { name: "Label" }).fill("<b>alice</b>-laptop");
  await page.getByRole("textbox", { name: "Owner" }).fill("alice@acme.example");
  await page.getByRole("button", { name: "Create token" }).click();
  await page.getByRole("alert").getByText("pick at least one provider").waitFor();
  assert.equal(await page.getByRole("textbox", { name: "Label" }).inputValue(), "<b>alice</b>-laptop");
  await check(page, "token-refused");
  await page.getByLabel("Requests").fill("many");
  await page.getByLabel("OpenAI", { exact: true }).check();
  await page.getByRole("button", { name: "Create token" }).click();
  await page.getByRole("alert").getByText("invalid rate limit").waitFor();
  assert.equal(await page.getByLabel("Requests").inputValue(), "many");
  await page.getByLabel("Requests").fill("60");
  await page.getByLabel("Period").fill("1m");
  for (const provider of ["OpenAI", "Anthropic", "Gemini"]) await page.getByLabel(provider, { exact: true }).check();
  await page.getByRole("button", { name: "Create token" }).click();
  await page.getByRole("heading", { name: "Token created" }).waitFor();
  await page.getByRole("button", { name: "Copy: Codex CLI, ~/.codex/config.toml" }).click();
  await page.getByText("Copied.").waitFor();
  const block = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(block.includes(`base_url = "${proxy}/v1"`) && !block.includes("ptk_"), block);
  await page.getByRole("button", { name: "Copy", exact: true }).click();
  await page.getByText("Copied.").nth(1).waitFor();
  const token = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(token, /^ptk_[\w-]{32}$/);
  assert.equal(await status(token), "active");
  assert.deepEqual(await limit(token), { requests: 60, per: "60s" });
  await page.getByText(`curl ${proxy}/v1/models`).waitFor();
  await page.getByText(`export ANTHROPIC_AUTH_TOKEN="${token}"`).waitFor();
  await check(page, "token-created");
  await page.reload();
  assert.equal(await page.locator("#secret").textContent(), token);
  const made = page.url();

  await page.getByRole("link", { name: "To the list" }).click();
  await page.getByRole("link", { name: "<b>alice</b>-laptop" }).waitFor();
  await page.getByText("1 token", { exact: true }).waitFor();
  assert.ok(!(await page.content()).includes(token));
  await page.goto(made);
  await page.getByRole("button", { name: "I have stored it" }).click();
  await page.getByRole("heading", { name: "<b>alice</b>-laptop" }).waitFor();
  await page.goBack();
  await page.getByText("cannot be shown any more").waitFor();
  assert.ok(!(await page.content()).includes(token));
  await check(page, "token-gone");
  await toTokens(page);
  await page.getByRole("button", { name: /^Disable/ }).click();
  await page.getByRole("button", { name: /^Enable/ }).waitFor();
  assert.equal(await status(token), "disabled");
  await page.getByRole("button", { name: /^Enable/ }).click();
  await page.getByRole("button", { name: /^Disable/ }).waitFor();
  assert.equal(await status(token), "active");
  await edit(page, token);

  await page.getByLabel("Expires").fill("2030-01-01T12:30");
  await page.getByRole("button", { name: "Set expiry" }).click();
  await page.getByRole("definition").getByText("2030-01-01 12:30").waitFor();
  assert.equal(await page.getByLabel("Requests").inputValue(), "60");
  await page.getByLabel("Requests").fill("5");
  await page.getByLabel("Period").fill("1h");
  await page.getByRole("button", { name: "Set rate limit" }).click();
  await page.getByRole("definition").getByText("5 per 3600s").waitFor();
  assert.deepEqual(await limit(token), { requests: 5, per: "3600s" });
  await check(page, "token");
  await page.getByRole("button", { name: "Use the policy's limit" }).click();
  await page.getByRole("definition").getByText("the policy's").waitFor();
  assert.equal(await limit(token), null);
  await page.getByText("Rotate this token…").click();
  await page.getByRole("button", { name: "Rotate" }).click();
  await page.getByRole("heading", { name: "Token created" }).waitFor();
  const successor = await page.locator("#secret").textContent();
  assert.notEqual(successor, token);
  assert.deepEqual([await status(token), await status(successor)], ["active", "active"]);
  await page.getByRole("link", { name: "To the token" }).click();
  await page.getByLabel("Expires").fill("2020-01-01T00:00");
  await page.getByRole("button", { name: "Set expiry" }).click();
  await page.getByText("expired", { exact: true }).waitFor();
  await toTokens(page);
  await check(page, "tokens");

  await page.getByLabel("Status").selectOption("active");
  await page.getByLabel("Search").fill("ALICE");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByText("2 tokens").waitFor();
  await page.getByRole("row").filter({ hasText: "retiring" }).getByRole("link").click();
  await page.getByText("Delete this token…").click();
  await page.getByRole("button", { name: "Delete permanently" }).click();
  await page.getByText("1 token", { exact: true }).waitFor();
  assert.equal(await status(token), 404);

  await page.getByRole("link", { name: "Users" }).click();
  await page.getByText("New user").click();
  await page.getByLabel("Email").fill("bob+x@acme.example");
  await page.getByLabel("OpenAI", { exact: true }).check();
  await page.getByRole("button", { name: "Create user" }).click();
  await page.getByRole("link", { name: "bob+x@acme.example" }).waitFor();
  await check(page, "users");
  await page.getByRole("link", { name: "bob+x@acme.example" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Bob");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: /^Disable/ }).click();
  await page.getByText("disabled", { exact: true }).waitFor();
  await check(page, "user");
  await offboard(page);
  await usage(page);
  await apiKeys(page);
  await page.getByRole("link", { name: "Policies" }).click();
  await page.getByRole("row").filter({ hasText: "decides for 10 %" }).getByRole("link", { name: "prod" }).waitFor();
  await check(page, "policies");
  await page.getByRole("link", { name: "prod" }).click();
  const plane = (name) => page.getByRole("row").filter({ hasText: name });
  await plane("edge-1").getByText("revision 2 is refused: bad_policy: error at `credentials`: <b>not bold").waitFor();
  await plane("edge-1").getByText("behind").waitFor();
  await plane("edge-2").getByText("none").waitFor();
  await check(page, "policy");
  await page.getByRole("link", { name: "Audit log" }).click();
  await page.getByText("token.rotate").waitFor();
  await check(page, "audit");
  await page.getByLabel("Action").fill("user");
  await page.getByLabel("From").fill("1d");
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByText("user.create").waitFor();
  assert.equal(await page.getByText("token.rotate").count(), 0);
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download as CSV" }).click();
  const lines = readFileSync(await (await download).path(), "utf8").trim().split("\n");
  assert.equal(lines[0], "id,at,actor,action,subject,detail");
  assert.ok(lines.length > 2 && lines.slice(1).every((line) => line.includes(",user.")), lines.join("\n"));
  assert.ok(!(await page.content()).includes(token));
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await page.goto(`${url}/admin/audit`);
  assert.equal(new URL(page.url()).pathname, "/admin/sign-in");
}

/// Asserts that the list shows changes that other clients make.
async function live() {
  const page = await newPage();
  await page.clock.install();
  await signIn(page);
  await toTokens(page);
  await page.locator("#content").focus();
  const context = page.context().request;
  const created = await context.post(`${url}/admin/api/tokens`, {
    data: { label: "from elsewhere", providers: ["openai"] }, headers: { "x-keyswap-client": "test" },
  });
  assert.equal(created.status(), 201);
  await page.clock.fastForward(11_000);
  await page.getByRole("link", { name: "from elsewhere" }).waitFor();
}

/// Uses the pages without a mouse and without the script.
async function byKeyboard() {
  const page = await newPage({ javaScriptEnabled: false });
  await page.goto(`${url}/admin/sign-in`);
  const reach = async (locator) => {
    for (let presses = 0; presses < 90; presses += 1) {
      if (await locator.evaluate((element) => element === document.activeElement).catch(() => false)) return;
      await page.keyboard.press("Tab");
    }
    assert.fail(`no key leads to ${locator}`);
  };
  await reach(page.getByLabel("Administrator's password"));
  await page.keyboard.type(password);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Overview", exact: true }).waitFor();
  await reach(page.getByRole("link", { name: "Tokens", exact: true }));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Tokens", exact: true }).waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  await page.keyboard.press("Enter");
  await reach(page.getByText("New token"));
  await page.keyboard.press("Enter");
  await reach(page.getByRole("textbox", { name: "Label" }));
  await page.keyboard.type("by keys");
  await reach(page.getByLabel("Anthropic", { exact: true }));
  await page.keyboard.press("Space");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Token created" }).waitFor();
  const token = await page.locator("#secret").textContent();
  assert.equal(await status(token), "active");
  await reach(page.getByRole("link", { name: "To the token" }));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "by keys" }).waitFor();
  await reach(page.getByText("Delete this token…"));
  await page.keyboard.press("Enter");
  await reach(page.getByRole("button", { name: "Delete permanently" }));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Tokens", exact: true }).waitFor();
  assert.equal(await status(token), 404);
  await reach(page.getByRole("link", { name: "API keys", exact: true }));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "API keys", exact: true }).waitFor();
  await reach(page.getByText("New API key"));
  await page.keyboard.press("Enter");
  await reach(page.getByLabel("Name"));
  await page.keyboard.type("by-keys");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "API key created" }).waitFor();
  await reach(page.getByRole("button", { name: "I have stored it" }));
  await page.keyboard.press("Enter");
  await page.getByRole("row").filter({ hasText: "by-keys" }).getByText("auditor").waitFor();
  await reach(page.getByText("Revoke…"));
  await page.keyboard.press("Enter");
  await reach(page.getByRole("button", { name: "Revoke by-keys" }));
  await page.keyboard.press("Enter");
  await page.getByText("No API keys.").waitFor();
}

try {
  await byMouse();
  await live();
  await byKeyboard();
  assert.deepEqual(errors, []);
} finally {
  await browser.close();
}
