/**
 * What every SnapshotStore must do, as tests. An implementation calls `storeContract('name', makeStore)` at the top of a test file.
 * What only a crash shows (that things are durable once a call resolves) is the crash runner's affair.
 */
import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { isMillraceError, type ErrorCode } from '../base/errors.ts'
import type { SnapshotStore } from '../store/contract.ts'

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const failsWith = (code: ErrorCode) => (error: unknown) => isMillraceError(error, code)

/** Registers the tests. `makeStore` returns an empty store each time; what it made is cleared with `context.after`. */
export function storeContract(
  implementation: string,
  makeStore: (context: TestContext) => Promise<SnapshotStore>,
): void {
  const verify = (sentence: string, run: (store: SnapshotStore) => Promise<void>): void => {
    test(sentence, async context => run(await makeStore(context)))
  }

  describe(`${implementation} keeps the contract of snapshot stores:`, () => {
    verify(
      'a streamed object is invisible until it is finished, then holds what was written, in order',
      async store => {
        const writer = await store.create('segments/1-1.seg')
        await writer.write(bytesOf('he'))
        await writer.write(bytesOf('llo'))
        assert.deepEqual(await store.list('segments'), [])
        assert.equal(await store.size('segments/1-1.seg'), undefined)
        await writer.finish()
        assert.equal(textOf(await store.read('segments/1-1.seg')), 'hello')
        assert.equal(await store.size('segments/1-1.seg'), 5)
      },
    )

    verify('a streamed object never replaces another', async store => {
      await store.publish('segments/1-1.seg', bytesOf('first'))
      const writer = await store.create('segments/1-1.seg')
      await writer.write(bytesOf('second'))
      await assert.rejects(writer.finish(), failsWith('STORE_FAILED'))
      assert.equal(textOf(await store.read('segments/1-1.seg')), 'first')
      assert.equal(await store.removeTemporary('segments', () => true), 0)
    })

    verify('a writer that was given up, or is finished, takes no more bytes', async store => {
      const abandoned = await store.create('segments/1-1.seg')
      await abandoned.write(bytesOf('x'))
      await abandoned.abandon()
      await assert.rejects(abandoned.write(bytesOf('y')), failsWith('STORE_FAILED'))
      await assert.rejects(abandoned.finish(), failsWith('STORE_FAILED'))
      const finished = await store.create('segments/1-2.seg')
      await finished.finish()
      await assert.rejects(finished.write(bytesOf('y')), failsWith('STORE_FAILED'))
      await finished.abandon()
      assert.deepEqual(
        (await store.list('segments')).map(object => object.name),
        ['1-2.seg'],
      )
    })

    verify('what writers leave unfinished is removed by removeTemporary, and only what may be', async store => {
      const keep = await store.create('segments/2-1.seg')
      await keep.write(bytesOf('keep'))
      const drop = await store.create('segments/1-1.seg')
      await drop.write(bytesOf('drop'))
      const seen: string[] = []
      const removed = await store.removeTemporary('segments', target => {
        seen.push(target)
        return target.startsWith('1-')
      })
      assert.equal(removed, 1)
      assert.deepEqual(seen.toSorted(), ['1-1.seg', '2-1.seg'])
      await assert.rejects(drop.finish(), failsWith('STORE_FAILED'))
      await keep.finish()
      assert.equal(textOf(await store.read('segments/2-1.seg')), 'keep')
      assert.equal(await store.size('segments/1-1.seg'), undefined)
    })

    verify('publish creates an object once; a second one changes nothing', async store => {
      assert.equal(await store.publish('manifests/a.json', bytesOf('one')), 'created')
      assert.equal(await store.publish('manifests/a.json', bytesOf('two')), 'exists')
      assert.equal(textOf(await store.read('manifests/a.json')), 'one')
      assert.equal(await store.removeTemporary('manifests', () => true), 0)
    })

    verify('of many that publish the same name at once exactly one creates it, and its bytes stay', async store => {
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, i) => store.publish('locks/lock-1', bytesOf(`owner ${i}`))),
      )
      assert.equal(outcomes.filter(outcome => outcome === 'created').length, 1)
      assert.equal(textOf(await store.read('locks/lock-1')), `owner ${outcomes.indexOf('created')}`)
    })

    verify('replace creates or overwrites', async store => {
      await store.replace('locks/lock-1', bytesOf('long before'))
      await store.replace('locks/lock-1', bytesOf('after'))
      assert.equal(textOf(await store.read('locks/lock-1')), 'after')
    })

    verify('a reader beside replace sees the old or the new bytes, never a mix', async store => {
      const versions = ['a'.repeat(5000), 'b'.repeat(3000)]
      await store.replace('locks/lock-1', bytesOf(versions[0]))
      const writes = (async () => {
        for (let i = 1; i <= 20; i += 1) await store.replace('locks/lock-1', bytesOf(versions[i % 2]))
      })()
      for (let i = 0; i < 50; i += 1) assert.ok(versions.includes(textOf(await store.read('locks/lock-1'))))
      await writes
    })

    test('copyFrom makes an object of another folder one of this one, and neither needs the other from then on', async context => {
      const [store, other] = [await makeStore(context), await makeStore(context)]
      const bytes = new Uint8Array(5 * 1024 * 1024).map((_, i) => i % 251)
      const writer = await other.create('segments/7-1.seg')
      await writer.write(bytes)
      await writer.finish()
      await store.copyFrom(other, 'segments/7-1.seg', 'segments/1-1.seg')
      assert.deepEqual(await store.read('segments/1-1.seg'), await other.read('segments/7-1.seg'))
      await other.remove('segments/7-1.seg')
      assert.deepEqual([...(await store.read('segments/1-1.seg', 250, 4))], [250, 0, 1, 2])
      await other.copyFrom(store, 'segments/1-1.seg', 'segments/9-9.seg')
      await store.remove('segments/1-1.seg')
      assert.equal(await other.size('segments/9-9.seg'), bytes.length)
      assert.equal(await other.removeTemporary('segments', () => true), 0)
    })

    test('copyFrom of a missing object is OBJECT_MISSING, one to a taken name is refused, and neither leaves a trace', async context => {
      const [store, other] = [await makeStore(context), await makeStore(context)]
      await other.publish('a', bytesOf('new'))
      await store.publish('taken', bytesOf('old'))
      await assert.rejects(store.copyFrom(other, 'b', 'copy'), failsWith('OBJECT_MISSING'))
      await assert.rejects(store.copyFrom(other, 'a', 'taken'), failsWith('STORE_FAILED'))
      assert.equal(textOf(await store.read('taken')), 'old')
      assert.deepEqual(
        (await store.list('')).map(({ name }) => name),
        ['taken'],
      )
      assert.equal(await store.removeTemporary('', () => true), 0)
    })

    verify('append adds to what is there', async store => {
      await store.append('log.jsonl', bytesOf('one\n'))
      await store.append('log.jsonl', bytesOf('two\n'))
      assert.equal(textOf(await store.read('log.jsonl')), 'one\ntwo\n')
    })

    verify('read returns a range, and fewer bytes only at the end', async store => {
      await store.publish('a', bytesOf('0123456789'))
      assert.equal(textOf(await store.read('a', 3)), '3456789')
      assert.equal(textOf(await store.read('a', 3, 4)), '3456')
      assert.equal(textOf(await store.read('a', 8, 10_000_000_000)), '89')
      assert.equal((await store.read('a', 10)).length, 0)
      assert.equal((await store.read('a', 99, 5)).length, 0)
      assert.equal((await store.read('a', 5, 0)).length, 0)
    })

    verify('a missing object is OBJECT_MISSING to read, has no size, and is no error to remove', async store => {
      await assert.rejects(store.read('segments/1-1.seg'), failsWith('OBJECT_MISSING'))
      assert.equal(await store.size('segments/1-1.seg'), undefined)
      await store.remove('segments/1-1.seg')
      await store.publish('segments/1-1.seg', bytesOf('x'))
      await store.remove('segments/1-1.seg')
      await assert.rejects(store.read('segments/1-1.seg'), failsWith('OBJECT_MISSING'))
    })

    verify('a removed name can be published again', async store => {
      await store.publish('a', bytesOf('one'))
      await store.remove('a')
      assert.equal(await store.publish('a', bytesOf('two')), 'created')
      assert.equal(textOf(await store.read('a')), 'two')
    })

    verify('list names the objects directly in a folder, sorted, with their sizes', async store => {
      for (const name of ['runs/2.json', 'runs/10.json', 'runs/1.json', 'other/1.json', 'top']) {
        await store.publish(name, bytesOf(name))
      }
      const found = await store.list('runs')
      assert.deepEqual(
        found.map(object => [object.name, object.sizeBytes]),
        [
          ['1.json', 11],
          ['10.json', 12],
          ['2.json', 11],
        ],
      )
      assert.deepEqual(
        (await store.list('')).map(object => object.name),
        ['top'],
      )
      assert.deepEqual(await store.list('nowhere'), [])
    })

    verify('bytes are the store’s own: neither the giver nor a reader can change an object', async store => {
      const given = bytesOf('abc')
      await store.publish('a', given)
      await store.replace('b', given)
      const writer = await store.create('c')
      await writer.write(given)
      given.fill(0)
      await writer.finish()
      for (const name of ['a', 'b', 'c']) {
        const read = await store.read(name)
        assert.equal(textOf(read), 'abc')
        read.fill(0)
        assert.equal(textOf(await store.read(name)), 'abc')
      }
    })

    verify('an empty object can be published and streamed', async store => {
      await store.publish('a', new Uint8Array())
      await (await store.create('b')).finish()
      assert.equal((await store.read('a')).length, 0)
      assert.equal(await store.size('b'), 0)
    })

    verify('names that could leave the folder are refused by every operation', async store => {
      const none = new Uint8Array()
      for (const name of [
        '../a',
        '/etc/passwd',
        'a/../b',
        'a//b',
        '',
        '.',
        'a\0b',
        'a b',
        'a\\b',
        `a/${'x'.repeat(201)}`,
      ]) {
        const calls = [
          () => store.create(name),
          () => store.publish(name, none),
          () => store.replace(name, none),
          () => store.copyFrom(store, 'a', name),
          () => store.copyFrom(store, name, 'a'),
          () => store.append(name, none),
          () => store.read(name),
          () => store.size(name),
          () => store.remove(name),
          ...(name === '' ? [] : [() => store.list(name), () => store.removeTemporary(name, () => true)]),
        ]
        for (const call of calls)
          await assert.rejects(call, failsWith('BAD_REFERENCE'), `${JSON.stringify(name)}: ${call}`)
      }
    })
  })
}
