// An OpenID provider that issues JWT access tokens to one client. Its keys change as it is told on standard input:
// `rotate` adds a key that signs from then on, `retire` takes all others away. Each change is confirmed by a line.

import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import Provider from 'oidc-provider';

const [issuer, audience, secret] = process.argv.slice(2);
let made = 0;

// The provider's notices go elsewhere than the confirmations.
console.info = console.error;

function newKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  made += 1;
  return { ...privateKey.export({ format: 'jwk' }), kid: `key-${made}`, alg: 'RS256', use: 'sig' };
}

function start(keys) {
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [{
      client_id: 'robot', client_secret: secret, grant_types: ['client_credentials'], redirect_uris: [],
      response_types: [], token_endpoint_auth_method: 'client_secret_post',
    }],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          audience, scope: '', accessTokenFormat: 'jwt', accessTokenTTL: 300, jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });
  provider.proxy = true;
  return provider.callback();
}

let keys = [newKey()];
let handle = start(keys);

// As behind a server that ends TLS.
const server = createServer((request, response) => {
  request.headers['x-forwarded-proto'] = 'https';
  request.headers['x-forwarded-host'] = new URL(issuer).host;
  handle(request, response);
});
server.listen(0, '127.0.0.1', () => console.log(`listening on ${server.address().port}`));

for await (const command of createInterface({ input: process.stdin })) {
  keys = command === 'rotate' ? [newKey(), ...keys] : keys.slice(0, 1);
  handle = start(keys);
  console.log(command);
}
process.exit(0);
