/** What a person sees: one line per step, a table at the end. Colours only on a terminal. */

export interface Terminal {
  line(text?: string): void
  step(name: string, detail: string): void
  note(text: string): void
  heading(text: string): void
  table(rows: readonly (readonly [string, string])[]): void
}

const STEP_WIDTH = 22

export function createTerminal(
  stream: { readonly isTTY?: boolean; write(text: string): unknown },
  startedMs: number,
  now: () => number,
): Terminal {
  const colour = stream.isTTY === true && process.env['NO_COLOR'] === undefined
  const paint = (code: string, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)
  const line = (text = '') => stream.write(`${text}\n`)
  return {
    line,
    step(name, detail) {
      const seconds = ((now() - startedMs) / 1000).toFixed(1).padStart(6)
      line(`${paint('2', `${seconds}s`)}  ${paint('32', '✓')} ${name.padEnd(STEP_WIDTH)} ${detail}`)
    },
    note: (text) => line(`         ${paint('2', text)}`),
    heading: (text) => line(`\n${paint('1', text)}`),
    table(rows) {
      const width = Math.max(...rows.map(([name]) => name.length))
      for (const [name, value] of rows) line(`  ${paint('2', name.padEnd(width))}  ${value}`)
    },
  }
}

/** Satoshi as bitcoin, for people. */
export function bitcoinText(amountSat: bigint): string {
  const sign = amountSat < 0n ? '-' : ''
  const value = amountSat < 0n ? -amountSat : amountSat
  return `${sign}${value / 100_000_000n}.${String(value % 100_000_000n).padStart(8, '0')} BTC`
}
