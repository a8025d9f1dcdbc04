/** `npm run e2e -- crash`, in its short form. */
import { crash } from './crash.ts'

it('BP-7: nodes die at random moments under load; nothing acknowledged is lost and all roots are equal, replayed ones too', async () => {
  const { ok, figures } = await crash({
    json: true,
    nodes: 4,
    members: 1,
    bitcoin: 'embedded',
    seed: 7,
    random: 5,
    tell: () => {},
  })
  expect(figures).toMatchObject({ kills: 5, lostAcknowledged: 0, rootMismatches: 0, damaged: 0 })
  expect(figures['acknowledged']).toBeGreaterThan(0)
  // Four nodes began blocks before their slots, and the replay came to the same roots.
  expect(figures['prepared']).toBeGreaterThan(0)
  expect(ok).toBe(true)
}, 900_000)
