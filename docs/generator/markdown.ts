/** Markdown of the reference pages. */

/** The line under each title: who wrote this page, and how it is written anew. */
export function page(title: string, about: string, ...parts: readonly string[]): string {
  const notice = '_Written by `npm run docs` from the code; a test compares it. Do not edit._'
  return `${[`# ${title}`, notice, about, ...parts].join('\n\n')}\n`
}

export function code(text: string): string {
  return text === '' ? '' : `\`${text}\``
}

/** In columns, as the formatter wants it. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number | bigint)[])[],
): string {
  const lines = [head, ...rows].map((cells) =>
    cells.map((cell) => String(cell).replaceAll('|', '\\|')),
  )
  const widths = head.map((_, column) =>
    Math.max(3, ...lines.map((cells) => [...(cells[column] ?? '')].length)),
  )
  const padded = lines.map((cells) =>
    cells.map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - [...cell].length)),
  )
  const [first = [], ...others] = padded
  const rule = widths.map((width) => '-'.repeat(width))
  return [first, rule, ...others].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

export function fenced(text: string): string {
  return `\`\`\`text\n${text.trimEnd()}\n\`\`\``
}

/** Groups of a thousand, so that large bounds can be read. */
export function numberText(value: number | bigint): string {
  const [whole = '', rest] = String(value).split('.')
  const grouped = whole.replaceAll(/\B(?=(\d{3})+$)/g, ',')
  return rest === undefined ? grouped : `${grouped}.${rest}`
}
