// Completions and a search by grpc-web, with fetch and the messages of protos/: page?edge=http://HOST:PORT&typed=WORDS
const parameters = new URLSearchParams(location.search);
const EDGE = parameters.get('edge') ?? 'http://127.0.0.1:8080';
const PROTOS = '../../protos/';
const LIBRARY = 'node_modules/protobufjs/'; // has google/protobuf/
const FILES = ['shopfuse/v1/completion.proto', 'shopfuse/v1/search.proto'];
const TRAILERS = 0x80; // the flag of the frame that ends an answer

const root = new protobuf.Root();
root.resolvePath = (_, file) => (file.startsWith('google/protobuf/') ? LIBRARY : PROTOS) + file;
const loaded = root.load(FILES, { keepCase: true });

// A frame is a flag, four bytes of length, and so many bytes.
function framed(bytes) {
  const frame = new Uint8Array(5 + bytes.length);
  new DataView(frame.buffer).setUint32(1, bytes.length);
  frame.set(bytes, 5);
  return frame;
}

function unframed(buffer) {
  const answer = { trailers: '' };
  for (let at = 0; at < buffer.byteLength; ) {
    const length = new DataView(buffer).getUint32(at + 1);
    const bytes = new Uint8Array(buffer, at + 5, length);
    if (new Uint8Array(buffer)[at] & TRAILERS) answer.trailers = new TextDecoder().decode(bytes);
    else answer.message = bytes;
    at += 5 + length;
  }
  return answer;
}

async function ask(service, method, request) {
  await loaded;
  const { requestType, responseType } = root.lookupService(`shopfuse.v1.${service}`).methods[method];
  const [Request, Response] = [requestType, responseType].map((name) => root.lookupType(`shopfuse.v1.${name}`));
  const answer = await fetch(`${EDGE}/shopfuse.v1.${service}/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/grpc-web+proto', 'x-grpc-web': '1', 'grpc-timeout': '1S' },
    body: framed(Request.encode(Request.create(request)).finish()),
  });
  const { message, trailers } = unframed(await answer.arrayBuffer());
  const told = (name) => answer.headers.get(name) ?? trailers.match(`${name}:\\s*(.*)`)?.[1];
  if (!message) throw new Error(`status ${told('grpc-status')}: ${decodeURIComponent(told('grpc-message') ?? answer.status)}`);
  return Response.decode(message);
}

function fill(id, name, texts) {
  document.getElementById(id).replaceChildren(
    ...texts.map((text) => Object.assign(document.createElement(name), name === 'option' ? { value: text } : { textContent: text })),
  );
}

async function type(words) {
  fill('problem', 'span', []);
  try {
    const [completed, found] = await Promise.all([
      ask('CompletionService', 'CompleteQuery', { prefix: words, max_completions: 5, kinds: [1] }),
      ask('SearchService', 'Search', { query: words, page_size: 5 }),
    ]);
    fill('completions', 'option', completed.completions.map((one) => one.text));
    fill('items', 'li', found.items.map((item) => `${item.item_id} ${item.title}`));
  } catch (error) {
    fill('problem', 'span', [error.message]);
  }
}

const words = document.getElementById('words');
words.addEventListener('input', () => words.value && type(words.value));
if (parameters.has('typed')) {
  words.value = parameters.get('typed');
  type(words.value);
}
