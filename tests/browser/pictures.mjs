// Takes the book's pictures of the dashboard. Arguments: the registry's address, the password, the folder for pictures.
import { chromium } from "playwright-core";

const [url, password, folder] = process.argv.slice(2);

const browser = await chromium.launch({
  executablePath: process.env.KEYSWAP_CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
});
const page = await browser.newPage({ viewport: { width: 1100, height: 620 } });
page.setDefaultTimeout(20_000);
await page.goto(`${url}/admin`);
await page.getByLabel("Administrator's password").fill(password);
await page.getByRole("button", { name: "Sign in" }).click();

async function take(name, heading) {
  await page.getByRole("heading", { name: heading, exact: true }).waitFor();
  await page.screenshot({ path: `${folder}/dashboard-${name}.png` });
}

await page.getByRole("link", { name: "Tokens", exact: true }).click();
await take("tokens", "Tokens");
await page.getByRole("link", { name: "carol-notebook" }).click();
await take("token", "carol-notebook");
await page.getByRole("link", { name: "Policies" }).click();
await page.getByRole("link", { name: "prod" }).click();
await take("policy", "prod");
await browser.close();
