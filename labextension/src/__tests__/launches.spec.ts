import { GpusModel } from '../gpus';
import { JobsModel } from '../jobs';
import { arrange } from '../layerSums';
import { merge } from '../rows';
import { parseEnvironment } from '../wire';
import { parseBoard } from '../wireGpus';
import {
  type IJob,
  type ILayer,
  parseJob,
  parseProgressEvent
} from '../wireJobs';

function job(id: string, phase: string, fields: object = {}): IJob {
  const whole = {
    id,
    name: id,
    phase,
    layers: [],
    spec: { image: 'i' },
    phases: { queued: '2026-01-01T00:00:00Z' }
  };
  return parseJob({ ...whole, ...fields }, 'job');
}

function event(id: string, phase: string, fields: object = {}) {
  const parsed = parseProgressEvent({
    schema_id: 'https://schema.jupyter-dlenv.org/progress/v1',
    job: id,
    name: id,
    phase,
    ...fields
  });
  if (!parsed) {
    throw new Error('This is no event of ours.');
  }
  return parsed;
}

describe('parseJob', () => {
  it('keeps all that was asked for, to ask again', () => {
    const spec = { image: 'i', shared: false, idle_stop: 0, workdir: '' };
    const asked = { build_dir: '/p', project: '', authorize: ['ssh-rsa A'] };

    const { request } = job('a', 'failed', { spec, ...asked });

    expect(request).toEqual({
      image: 'i',
      shared: false,
      idle_stop: 0,
      build_dir: '/p',
      authorize: ['ssh-rsa A']
    });
  });
});

describe('JobsModel', () => {
  let known: IJob[];
  let asked: string[];
  let model: JobsModel;

  beforeEach(() => {
    jest.useFakeTimers();
    known = [];
    asked = [];
    model = new JobsModel({
      jobs: async () => known,
      job: async id => {
        asked.push(id);
        const found = known.find(item => item.id === id);
        if (!found) {
          throw new Error('unknown');
        }
        return found;
      }
    });
  });

  afterEach(() => {
    model.dispose();
    jest.useRealTimers();
  });

  async function hear(...events: ReturnType<typeof event>[]): Promise<void> {
    events.forEach(item => model.onEvent(item));
    await jest.advanceTimersByTimeAsync(1000);
  }

  it('follows a launch by its events, and asks for layers no oftener than needed', async () => {
    model.add(job('a', 'queued'));
    known = [job('a', 'pulling', { current: 7, total: 10, message: '7 层' })];
    await hear(
      ...[1, 2, 3, 4].map(current =>
        event('a', 'pulling', { current, total: 10, message: '7 layers' })
      )
    );

    expect(model.find('a')?.current).toBe(7);
    // In the language of the page, which that of an event is not.
    expect(model.find('a')?.message).toBe('7 层');
    // Once for the new phase, and once for all that came after.
    expect(asked.length).toBe(2);
  });

  it('learns of a launch that another page has begun', async () => {
    known = [job('b', 'pulling')];
    await hear(event('b', 'pulling'));

    expect(model.find('b')?.phase).toBe('pulling');
  });

  it('tells once that a launch has ended, with the reason', async () => {
    const ended: IJob[] = [];
    model.ended.connect((_, item) => ended.push(item));
    model.add(job('a', 'pulling'));
    const error = { code: 'disk-full', message: 'Full.' };
    known = [job('a', 'failed', { error })];
    await hear(event('a', 'failed'), event('a', 'failed'));
    await model.refresh();

    expect(ended.map(item => item.error?.message)).toEqual(['Full.']);
  });

  it('says nothing of launches that had ended before this page was opened', async () => {
    const ended: IJob[] = [];
    model.ended.connect((_, item) => ended.push(item));
    known = [job('old', 'ready')];
    await model.refresh();

    expect(ended).toEqual([]);
    expect(model.jobs.length).toBe(1);
  });

  it('is not turned back by an answer that is older than the end', async () => {
    model.add(job('a', 'ready'));
    known = [job('a', 'starting')];
    await model.refresh();

    expect(model.find('a')?.phase).toBe('ready');
  });
});

describe('layers', () => {
  const layer = (id: string, state: ILayer['state'], total = 10): ILayer => ({
    id,
    state,
    current: 5,
    total
  });

  it('show the largest that move, and sums of the rest', () => {
    const layers = [
      ...[1, 2, 3, 4, 5, 6].map(n => layer(`m${n}`, 'downloading', n)),
      layer('d', 'done'),
      layer('h', 'here'),
      layer('w', 'waiting')
    ];
    const { moving, sums } = arrange(layers);

    expect(moving.map(({ id }) => id)).toEqual(['m6', 'm5', 'm4', 'm3', 'm2']);
    expect(sums.map(sum => [sum.state, sum.count])).toEqual([
      ['done', 1],
      ['waiting', 2],
      ['here', 1]
    ]);
  });
});

describe('the rows of the sidebar', () => {
  const environment = (name: string, status: string) =>
    parseEnvironment(
      { name, status, image: 'i', gpus: 0, kernel_name: 'k', engine: 'e' },
      name
    );
  const names = (...rows: Parameters<typeof merge>) =>
    merge(...rows).map(row => `${row.name}${'job' in row ? ' (launch)' : ''}`);

  it('show a launch in place of its environment, until that is complete', () => {
    const launching = [environment('a', 'launching')];
    const running = [environment('a', 'running')];

    expect(names(launching, [job('a', 'starting')], [])).toEqual([
      'a (launch)'
    ]);
    expect(names(running, [job('a', 'ready')], [])).toEqual(['a']);
  });

  it('keep a failed launch until it is dismissed, or succeeds', () => {
    const failed = job('a', 'failed');
    const again = job('a', 'ready', { id: '2' });

    expect(names([], [failed], [])).toEqual(['a (launch)']);
    expect(names([], [failed], ['a'])).toEqual([]);
    expect(names([environment('a', 'running')], [failed, again], [])).toEqual([
      'a'
    ]);
  });

  it('have what is stopped last', () => {
    const list = [environment('a', 'stopped'), environment('b', 'running')];

    expect(names(list, [], [])).toEqual(['b', 'a']);
  });
});

describe('GpusModel', () => {
  const board = (utilization: number) =>
    parseBoard({
      driver: {},
      gpus: [
        { uuid: 'GPU-1', index: 0, state: 'free', utilization, mig: [] },
        {
          uuid: 'GPU-2',
          index: 1,
          state: 'leased',
          environment: 'bert',
          mig: []
        }
      ],
      nvlinks: [],
      free: 1,
      will_be_taken: []
    });

  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('reads while somebody looks, and not before or after', async () => {
    let reads = 0;
    const model = new GpusModel(async () => board((reads += 1)));
    await jest.advanceTimersByTimeAsync(10_000);
    expect(reads).toBe(0);

    const first = model.watch();
    const second = model.watch();
    await jest.advanceTimersByTimeAsync(5_000);
    first.dispose();
    await jest.advanceTimersByTimeAsync(2_000);
    const before = reads;
    second.dispose();
    await jest.advanceTimersByTimeAsync(20_000);

    expect(before).toBeGreaterThan(2);
    expect(reads).toBe(before);
    expect(model.history('GPU-1')).toEqual(
      Array.from({ length: before }, (_, i) => i + 1)
    );
    model.dispose();
  });

  it('asks at once which GPUs a launch would take when the number changes', async () => {
    const counts: number[] = [];
    const model = new GpusModel(async count => {
      counts.push(count);
      return board(0);
    });
    model.watch();
    await jest.advanceTimersByTimeAsync(100);
    model.want(2);
    await jest.advanceTimersByTimeAsync(100);

    expect(counts).toEqual([0, 2]);
    const [mine] = model.of({ name: 'bert', gpuUuids: [] });
    expect(mine?.uuid).toBe('GPU-2');
    model.dispose();
  });
});
