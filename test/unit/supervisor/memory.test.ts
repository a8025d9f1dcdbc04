/** What a system that runs for months must not keep. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { after, reply } from '../../../supervisor/index.ts'
import { child, createWorld, type Note, note } from './fixtures.ts'

const PERIOD_MS = 100
const ROUNDS = 300

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Messages, each with something in it that shows whether it is still held. */
function createPaper() {
  const sheets: WeakRef<object>[] = []
  return {
    write(type: string): Note {
      const sheet = { written: sheets.length }
      sheets.push(new WeakRef(sheet))
      return note(type, sheet)
    },
    async held(): Promise<number> {
      // What a WeakRef showed stays until the turn ends.
      await new Promise((resolve) => setImmediate(resolve))
      collect()
      return sheets.filter((sheet) => sheet.deref() !== undefined).length
    },
  }
}

describe('a timer that sets itself anew', () => {
  for (const newFlow of [false, true]) {
    it(`keeps no message that came before${newFlow ? ', in a flow of its own' : ''} (SU-9)`, async () => {
      const paper = createPaper()
      const again = () => after(PERIOD_MS, 'again', paper.write('tick'), { newFlow })
      const { system, ports } = createWorld([
        child('a', {
          init: async () => ({ context: [], effects: [again()] }),
          handle: (context) => ({ context, effects: [again()] }),
        }),
      ])
      await system.start()
      await ports.clock.advance(ROUNDS * PERIOD_MS)
      expect(system.snapshot()[0]?.handled).toBe(ROUNDS)
      expect(await paper.held()).toBeLessThan(ROUNDS / 10)
      await system.stop()
    })
  }
})

describe('a question that was answered', () => {
  it('leaves nothing behind (SU-9)', async () => {
    const paper = createPaper()
    const { system } = createWorld([
      child('a', {
        handle: (context, _message, { envelope }) => ({
          context,
          effects: [reply(envelope, paper.write('answer'))],
        }),
      }),
    ])
    await system.start()
    for (let round = 0; round < ROUNDS; round++) {
      const request = paper.write('question')
      await system.ask('a', request, { timeoutMs: 60_000, sender: 'api' })
    }
    expect(await paper.held()).toBeLessThan(ROUNDS / 10)
    await system.stop()
  })
})
