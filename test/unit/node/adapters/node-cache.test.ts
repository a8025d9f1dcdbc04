import { seededRandom } from '../../../../devnet/launcher/chaos.ts'
import { NodeCache } from '../../../../node/adapters/engine/node-cache.ts'

const SEED = 61

describe('nodes that the writer has at hand', () => {
  it(`are the last ones that were set, or not there; the budget is kept (seed ${SEED})`, () => {
    const next = seededRandom(SEED)
    const most = 10_000
    const cache = new NodeCache(most)
    const truth = new Map<string, Uint8Array>()
    let hits = 0
    for (let step = 0; step < 20_000; step++) {
      const path = `${Math.floor(next() * 60)}`
      const deed = next()
      if (deed < 0.3) {
        const node = new Uint8Array(Math.floor(next() * 500)).fill(step)
        cache.set(path, node)
        truth.set(path, node)
      } else if (deed < 0.35) {
        cache.delete(path)
        truth.delete(path)
      } else {
        const found = cache.get(path)
        if (found !== undefined) {
          hits += 1
          expect(found).toBe(truth.get(path))
        }
      }
      expect(cache.bytes).toBeGreaterThanOrEqual(0)
      expect(cache.bytes).toBeLessThanOrEqual(most)
    }
    expect(hits).toBeGreaterThan(1_000)
  })

  it('what is asked for stays while others come and go', () => {
    const cache = new NodeCache(10_000)
    const root = new Uint8Array(500)
    cache.set('', root)
    for (let step = 0; step < 1_000; step++) {
      cache.set(`${step}`, new Uint8Array(100))
      expect(cache.get('')).toBe(root)
    }
    expect(cache.get('1')).toBeUndefined()
    cache.set('large', new Uint8Array(6_000))
    expect(cache.get('large')).toBeUndefined()
  })
})
