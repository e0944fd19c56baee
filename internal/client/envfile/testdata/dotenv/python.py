# Prints the values that python-dotenv reads from each case, as a JSON list.
import io, json, logging, sys
from dotenv import dotenv_values
logging.disable()
print(json.dumps([dict(dotenv_values(stream=io.StringIO(text, newline=""))) for text in json.load(open(sys.argv[1]))]))
