import { EXIT, programEnd } from '../../../../node/adapters/system/index.ts'
import type { FaultClass } from '../../../../supervisor/index.ts'

it.each<[FaultClass, number]>([
  ['configuration', EXIT.configuration],
  ['corruption', EXIT.data],
  ['network', EXIT.unreachable],
  ['service', EXIT.error],
  ['logic', EXIT.error],
  ['cascade', EXIT.error],
])(
  'a critical actor that ended by a fault of class %s ends the program with %i',
  (faultClass, code) => {
    const fault = { code: 'StoreDamaged', faultClass, reason: 'block 7\n  does not decode' }
    const end = programEnd({ code: 'Escalated', path: 'storage', fault, why: 'corruption' })
    expect(end).toEqual({
      exitCode: code,
      message: 'actor storage was given up (corruption): StoreDamaged: block 7 does not decode',
    })
  },
)
