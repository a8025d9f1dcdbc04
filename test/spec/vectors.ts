/** Independent vectors beside the repository; where they are not, what reads them is skipped and says so. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const VECTORS =
  process.env['VECTORS_DIR'] ?? fileURLToPath(new URL('../../../shared/vectors', import.meta.url))

/** The text of a vector file; undefined where there is none. */
export function readVectors(path: string): string | undefined {
  const file = join(VECTORS, path)
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

/** `describe`, or a skipped one whose name tells why. */
export function describeVectors(
  name: string,
  paths: readonly string[],
  tests: (texts: readonly string[]) => void,
): void {
  const texts = paths.map(readVectors)
  const missing = paths.filter((_, index) => texts[index] === undefined)
  if (missing.length === 0) describe(name, () => tests(texts as readonly string[]))
  else
    describe.skip(`${name} (no ${missing.join(', ')} under ${VECTORS})`, () =>
      it('vectors', () => {}))
}
