import { tmpdir } from 'node:os'
import { diskFault } from '../../../../node/adapters/disk/index.ts'

describe('diskFault', () => {
  const coded = (code: string) => Object.assign(new Error('write'), { code })

  it.each([
    coded('ENOSPC'),
    coded('EDQUOT'),
    coded('EFBIG'),
    coded('EIO'),
    coded('EROFS'),
    new Error('MDB_PANIC: No space left on device'),
    new Error('Input/output error'),
    new Error('File too large'),
  ])('a disk that only an operator can repair ends the node: %s', async (cause) => {
    expect(await diskFault(cause, tmpdir())).toMatchObject({
      code: 'DiskUnusable',
      faultClass: 'configuration',
      message: expect.stringContaining(tmpdir()),
    })
  })

  it('reads the reason that LMDB only promises', async () => {
    const cause = new Error('Commit failed (see commitError for details)')
    const commitError = Promise.reject(new Error('Input/output error'))
    expect(await diskFault(Object.assign(cause, { commitError }), tmpdir())).toMatchObject({
      code: 'DiskUnusable',
    })
  })

  it('any other failure is what it was', async () => {
    const cause = new Error('a key is too long')
    expect(await diskFault(cause, tmpdir())).toBe(cause)
  })
})
