/** What a command says while it runs, and the code that it ends with. */
import { jest } from '@jest/globals'

export async function heard(
  command: () => Promise<number>,
): Promise<{ readonly code: number; readonly out: string; readonly error: string }> {
  const said = { out: '', error: '' }
  const out = jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    said.out += String(text)
    return true
  })
  const error = jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said.error += String(text)
    return true
  })
  try {
    return { code: await command(), ...said }
  } finally {
    out.mockRestore()
    error.mockRestore()
  }
}
