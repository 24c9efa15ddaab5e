// The four calls of a shop's backend: node client.js WORKSPACE|HOST:PORT [QUERY] [USER]
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const DEADLINE_MS = 1000; // the gateway answers within it from what it has by then, and says so in `degraded`
const PROTOS = path.join(__dirname, '..', '..', 'protos');
const FILES = ['shopfuse/v1/search.proto', 'shopfuse/v1/recommendation.proto'];

const definition = loader.loadSync(FILES, { includeDirs: [PROTOS], keepCase: true, longs: String, enums: String, defaults: true });
const { SearchService, RecommendationService } = grpc.loadPackageDefinition(definition).shopfuse.v1;

// HOST:PORT as it is; of a workspace, where the process that serves it answers.
function address(place) {
  const endpoints = path.join(place, 'run', 'endpoints.json');
  return fs.existsSync(endpoints) ? JSON.parse(fs.readFileSync(endpoints, 'utf8')).grpc : place;
}

function ask(client, method, request) {
  const deadline = Date.now() + DEADLINE_MS;
  return new Promise((resolve, reject) =>
    client[method](request, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer))),
  );
}

function show(what, answer) {
  console.log(`${what}: release ${answer.served_by.release_id}${answer.degraded ? ', degraded' : ''}`);
  console.table(answer.items.map(({ item_id, title, price, score }) => ({ item_id, title, price, score })));
  return answer.items.map((item) => item.item_id);
}

async function main(place, query = 'boots', user_id = '') {
  const searches = new SearchService(address(place), grpc.credentials.createInsecure());
  const lists = new RecommendationService(address(place), grpc.credentials.createInsecure());
  const found = show(`search '${query}'`, await ask(searches, 'Search', { query, user_id, page_size: 5 }));
  show(`recommend for ${user_id || 'a stranger'}`, await ask(lists, 'Recommend', { user_id, page_size: 5 }));
  if (found.length > 0) {
    const like = { item_id: found[0], user_id, page_size: 5 };
    show(`like ${found[0]}`, await ask(lists, 'RecommendSimilarItems', like));
    show(`rank ${found.length} items`, await ask(lists, 'RankItems', { item_ids: found, query, user_id }));
  }
}

main(...process.argv.slice(2))
  .catch((error) => {
    console.error(`${grpc.status[error.code] || 'ERROR'}: ${error.details || error.message}`);
    process.exitCode = 1;
  })
  .finally(() => process.exit());
