// Compiles a folder of modules with the Python of the browser: node compile.mjs PYODIDE FOLDER
import { pathToFileURL } from "node:url";

const [pyodide, folder] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${pyodide}/pyodide.mjs`));
const python = await loadPyodide({ indexURL: `${pyodide}/` });
python.mountNodeFS("/wheels", folder);
// A browser unpacks the wheels anew, so no date can say which source was compiled; the wheel holds both
python.runPython(`
from compileall import compile_dir
from py_compile import PycInvalidationMode
compile_dir("/wheels", maxlevels=99, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
`);
