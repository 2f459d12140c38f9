// Compiles each schema file that is named on the command line on its own, in strict mode, then
// answers lines: {"schema": index, "doc": any} -> {"valid": bool, "pointer": of the first error}.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import Ajv2020 from 'ajv/dist/2020.js';

const validators = process.argv.slice(2).map((file) => {
  const ajv = new Ajv2020({ strict: true, validateFormats: true, logger: false });
  return ajv.compile(JSON.parse(readFileSync(file, 'utf8')));
});

const step = (name) => '/' + name.replaceAll('~', '~0').replaceAll('/', '~1');

for await (const line of createInterface({ input: process.stdin })) {
  const { schema, doc } = JSON.parse(line);
  const valid = validators[schema](doc);
  const first = validators[schema].errors?.[0];
  const member = first?.params.missingProperty ?? first?.params.additionalProperty;
  const pointer = valid ? null : first.instancePath + (member === undefined ? '' : step(member));
  console.log(JSON.stringify({ valid, pointer }));
}
