/** What node:util's parseArgs found wrong, in one line: its advice on arguments that begin with a dash fits no command of ours. */
export function wrongUse(error: unknown): string {
  const [line = ''] = (error as Error).message.split('\n', 1)
  return line
    .replace(/\. To specify .*$/s, '')
    .replace(/^Unknown option '(.*)'$/, 'unknown option $1')
}
