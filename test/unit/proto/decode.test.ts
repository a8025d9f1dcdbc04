/** C-7 on the governance stream: any bytes give a message or an error, unknown fields are ignored, unknown values are not taken. */
import fc from 'fast-check'
import { loadGovernanceService } from '../../../node/adapters/governance-grpc/schema.ts'
import {
  type MemberMessage,
  memberMessageFromWire,
  type NodeMessage,
  nodeMessageFromWire,
  toWire,
} from '../../../proto/index.ts'

const [stream] = Object.values(loadGovernanceService())
if (stream === undefined) throw new Error('the service has no method')
const { requestDeserialize, requestSerialize, responseDeserialize, responseSerialize } = stream

const answer: MemberMessage = {
  requestId: 'request',
  correlationId: 'flow',
  body: {
    kind: 'approvalResponse',
    outpoint: `${'ab'.repeat(32)}:1`,
    claimRoot: new Uint8Array(32).fill(3),
    decision: 'APPROVED',
    code: '',
    retryAfterMs: 0,
    signature: new Uint8Array(96).fill(5),
  },
}

const encoded = (message: MemberMessage): Buffer => requestSerialize(toWire(message))
const decoded = (bytes: Buffer) => memberMessageFromWire(requestDeserialize(bytes))

/** What a reader of the stream makes of bytes: a message, or the codec's own error, which ends the stream. */
function read(bytes: Buffer): MemberMessage | NodeMessage | 'malformed' {
  let wire: unknown
  try {
    wire = requestDeserialize(bytes)
  } catch {
    return 'malformed'
  }
  return memberMessageFromWire(wire)
}

describe('C-7: the governance stream', () => {
  it('a message comes back as it went', () => {
    expect(decoded(encoded(answer))).toEqual(answer)
  })

  it('fields that the schema does not know are ignored', () => {
    // Field 1000, length-delimited, five bytes.
    const unknown = Buffer.from([0xc2, 0x3e, 5, 1, 2, 3, 4, 5])
    expect(decoded(Buffer.concat([encoded(answer), unknown]))).toEqual(answer)
  })

  it('a kind of message that the schema does not know is unrecognized, and keeps its id', () => {
    const other = Buffer.from([0x0a, 2, 0x69, 0x64, 0xc2, 0x3e, 1, 1])
    expect(decoded(other)).toMatchObject({ requestId: 'id', body: { kind: 'unrecognized' } })
  })

  it('a decision that the schema does not know is not taken for one of ours', () => {
    const { approvalResponse, ...rest } = toWire(answer)
    const newer = { ...rest, approvalResponse: { ...(approvalResponse as object), decision: 77 } }
    const { body } = decoded(requestSerialize(newer))
    expect(body.kind).toBe('approvalResponse')
    expect(['APPROVED', 'REFUSED', 'UNKNOWN']).not.toContain(
      'decision' in body ? body.decision : 'APPROVED',
    )
  })

  it('no bytes make the reader throw past the codec', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const message = read(Buffer.from(bytes))
        return message === 'malformed' || typeof message.body.kind === 'string'
      }),
      { numRuns: 2_000 },
    )
  })

  it('nothing that a codec could hand over makes it throw, and no inexact number passes', () => {
    fc.assert(
      fc.property(fc.anything(), (wire) => {
        const kinds = [memberMessageFromWire(wire), nodeMessageFromWire(wire)]
        return kinds.every(({ body }) => typeof body.kind === 'string')
      }),
      { numRuns: 500 },
    )
    const wire = { requestId: 'a', correlationId: 'b', body: 'headerRequest' }
    const beyond = { ...wire, headerRequest: { fromHeight: 2 ** 53, count: 1 } }
    expect(memberMessageFromWire(beyond).body).toEqual({ kind: 'unrecognized' })
  })

  it('what a node sends is read the same way', () => {
    for (const bytes of [Buffer.from([0xff]), Buffer.from([])]) {
      let wire: unknown
      try {
        wire = responseDeserialize(bytes)
      } catch {
        continue
      }
      expect(nodeMessageFromWire(wire).body).toEqual({ kind: 'unrecognized' })
    }
  })

  const nodeSays = (body: NodeMessage['body']): Buffer =>
    responseSerialize(toWire({ requestId: 'r', correlationId: 'c', body }))
  const row = {
    set: 'outputs',
    key: new Uint8Array(36),
    present: true,
    row: new Uint8Array(200),
    proof: new Uint8Array(500),
  }
  const offer = { member: 1, serial: 1, signature: new Uint8Array(64) }
  const offers = (count: number, commitments: number) =>
    Array.from({ length: count }, () => ({
      ...offer,
      commitments: Array.from({ length: commitments }, () => new Uint8Array(66)),
    }))
  const parts = (count: number, commitments: number) =>
    nodeSays({
      kind: 'partsRequest',
      batchId: new Uint8Array(32),
      version: 0,
      attempt: 0,
      offers: offers(count, commitments),
    })

  it('GV-12: the largest messages that anybody sends have fewer than 10,000 fields', () => {
    const proof = nodeSays({ kind: 'ledgerProof', height: 1, rows: Array(512).fill(row) })
    const header = Buffer.alloc(700)
    const headers = Array(512).fill({ header, certificate: header, nextValidators: header })
    const certified = nodeSays({ kind: 'certifiedHeaders', fromHeight: 1, headers })
    for (const bytes of [proof, certified, parts(67, 50)]) {
      expect(nodeMessageFromWire(responseDeserialize(bytes)).body.kind).not.toBe('unrecognized')
    }
  })

  it.each([
    // Field 31, a proof or the request for one: 20,002 bytes, in which rows are field 2 or 1.
    ['empty rows', Buffer.from(`fa01a29c01${'1200'.repeat(10_001)}`, 'hex'), 'node'],
    ['empty row keys', Buffer.from(`fa01a29c01${'0a00'.repeat(10_001)}`, 'hex'), 'member'],
    ['commitments of one offer', parts(1, 10_000), 'node'],
    ['unknown fields', Buffer.from('c23e00'.repeat(10_001), 'hex'), 'both'],
    ['groups, which nest without end', Buffer.from('0b'.repeat(1_000), 'hex'), 'both'],
    ['a length beyond the message', Buffer.from('0aff01', 'hex'), 'both'],
    ['a number that does not end', Buffer.from(`50${'ff'.repeat(12)}`, 'hex'), 'both'],
    // What follows hides the count's view from the decoder's: it takes the lower 32 bits of field 31's tag,
    [
      'a tag of more than 32 bits',
      Buffer.from(`fa81808010a29c01${'1200'.repeat(10_001)}`, 'hex'),
      'both',
    ],
    // four bytes more after a tag, a length or a number of six,
    ['a tag of six bytes', Buffer.from('8a80808080000161', 'hex'), 'both'],
    ['a length of six bytes', Buffer.from('0a81808080800061', 'hex'), 'both'],
    ['a number of six bytes', Buffer.from('520708818080808000', 'hex'), 'node'],
    // and no wire type: a number where a message belongs is the message's length.
    ['a number where a message belongs', Buffer.from('f801021200', 'hex'), 'both'],
  ] as const)('GV-12: %s: refused before anything is made of it, both ways', (_, bytes, by) => {
    const refusal = 'no message of at most 10000 fields'
    if (by !== 'node') expect(() => requestDeserialize(bytes)).toThrow(refusal)
    if (by !== 'member') expect(() => responseDeserialize(bytes)).toThrow(refusal)
  })

  it('GV-12: what a codec hands over is copied within the same bounds', () => {
    const wire = (rows: number) => ({
      requestId: 'a',
      correlationId: 'b',
      body: 'ledgerProof',
      ledgerProof: { height: 1, rows: Array(rows).fill(row) },
    })
    expect(nodeMessageFromWire(wire(512)).body.kind).toBe('ledgerProof')
    expect(nodeMessageFromWire(wire(20_000)).body.kind).toBe('unrecognized')
    const endless: { height: number; rows: unknown[] } = { height: 1, rows: [] }
    endless.rows.push(endless)
    expect(nodeMessageFromWire({ ...wire(0), ledgerProof: endless }).body.kind).toBe('unrecognized')
  })
})
