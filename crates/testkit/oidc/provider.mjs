// A real OpenID provider for tests, on loopback. Its only argument is JSON,
// `{"accounts": {"<login>": {claims}}, "redirectUris": ["…"]}`; it prints `ready <issuer>`.
//
// Beside the provider's own routes there are four for the test: POST /test/sign signs any claims with the
// provider's keys (or with keys that it doesn't publish), POST /test/rotate replaces the keys,
// POST /test/down switches discovery and keys off or on, GET /test/hits counts their reads.
import { createServer } from 'node:http';
import Provider from 'oidc-provider';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';

const SIGNATURES = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'];
const settings = JSON.parse(process.argv[2]);
const hits = { discovery: 0, keys: 0, token: 0 };
let down = false;
let generation = 0;
let published;
let foreign = await makeKeys('foreign');
let answer;

const server = createServer((request, response) => {
  route(request, response).catch((error) => {
    console.error(error.stack);
    response.writeHead(500).end(String(error));
  });
});
server.listen(0, '127.0.0.1', async () => {
  await rotate();
  console.log(`ready ${issuer()}`);
});

function issuer() {
  return `http://127.0.0.1:${server.address().port}`;
}

async function rotate() {
  generation += 1;
  published = await makeKeys(`generation-${generation}`);
  const clients = SIGNATURES.map((alg) => ({
    client_id: `open-cowork-${alg}`,
    client_secret: 'a-client-secret-of-the-test',
    redirect_uris: settings.redirectUris,
    id_token_signed_response_alg: alg,
    token_endpoint_auth_method: 'client_secret_post',
    grant_types: ['authorization_code'],
    response_types: ['code'],
  }));
  clients.push({
    client_id: 'public',
    redirect_uris: settings.redirectUris,
    token_endpoint_auth_method: 'none',
  });
  const provider = new Provider(issuer(), {
    clients,
    jwks: { keys: await Promise.all(published.map(({ jwk }) => jwk)) },
    cookies: { keys: ['a-cookie-key-of-the-test'] },
    // As most providers do: the claims of the scopes stand in the identity token.
    conformIdTokenClaims: false,
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      profile: ['name', 'tenant_id', 'tid', 'hd', 'tenant_name'],
    },
    enabledJWA: { idTokenSigningAlgValues: SIGNATURES },
    pkce: { required: () => true },
    async findAccount(_context, login) {
      const claims = settings.accounts[login];
      return claims && { accountId: login, claims: async () => ({ sub: login, ...claims }) };
    },
  });
  provider.on('server_error', (_context, error) => console.error(error.stack));
  answer = provider.callback();
}

async function makeKeys(name) {
  return Promise.all(
    SIGNATURES.map(async (alg) => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true });
      const kid = `${name}-${alg}`;
      return { alg, kid, privateKey, jwk: { ...(await exportJWK(privateKey)), alg, kid, use: 'sig' } };
    }),
  );
}

async function route(request, response) {
  const path = new URL(request.url, issuer()).pathname;
  const json = (value) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(value));
  };
  switch (path) {
    case '/test/hits':
      return json(hits);
    case '/test/rotate':
      await rotate();
      return json({});
    case '/test/down':
      down = (await body(request)).down;
      return json({});
    case '/test/sign':
      return json({ token: await sign(await body(request)) });
    case '/.well-known/openid-configuration':
      hits.discovery += 1;
      break;
    case '/jwks':
      hits.keys += 1;
      break;
    case '/token':
      hits.token += 1;
      break;
  }
  if (down) {
    return response.writeHead(503).end();
  }
  return answer(request, response);
}

/** `{alg, claims, header?, foreign?}`: `foreign` signs with a key that is not published. */
async function sign({ alg, claims, header, foreign: byForeign }) {
  const key = (byForeign ? foreign : published).find((candidate) => candidate.alg === alg);
  return new SignJWT(claims)
    .setProtectedHeader({ alg, kid: key.kid, typ: 'JWT', ...header })
    .sign(key.privateKey);
}

async function body(request) {
  let text = '';
  for await (const piece of request) text += piece;
  return JSON.parse(text || '{}');
}
