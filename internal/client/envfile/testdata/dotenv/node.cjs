// Prints the values that Node's dotenv reads from each case, as a JSON list.
const {parse} = require(process.argv[2]);
const cases = JSON.parse(require('fs').readFileSync(process.argv[3]));
console.log(JSON.stringify(cases.map(text => parse(text))));
