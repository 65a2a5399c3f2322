import { Signal } from '@lumino/signaling';

import { type ILaunchOptions, LaunchModel } from '../launchModel';

const MESSAGE = 'An environment needs an image.';

describe('LaunchModel', () => {
  const launched: unknown[] = [];
  let model: LaunchModel;

  beforeEach(() => {
    launched.length = 0;
    const never = new Promise<never>(() => undefined);
    const api = {
      baseUrl: '',
      catalogue: () => never,
      images: () => never,
      project: () => never,
      sheet: () => never,
      check: async (request: { image: string }) => ({
        spec: null,
        sshPort: 0,
        problems: request.image ? [] : [{ field: 'image', message: MESSAGE }]
      }),
      launch: async (request: unknown) => {
        launched.push(request);
        return { id: '1' };
      }
    };
    const gpus = { changed: new Signal({}), want: jest.fn(), board: null };
    model = new LaunchModel({
      api,
      gpus,
      engines: { switched: new Signal({}) },
      taken: () => new Set<string>(),
      last: null,
      recent: [],
      directory: '',
      remember: jest.fn()
    } as unknown as ILaunchOptions);
  });

  afterEach(() => model.dispose());

  it('launches what was chosen a moment ago, whatever was wrong before', async () => {
    await new Promise(resolve => setTimeout(resolve, 300));
    expect(model.obstacle?.message).toBe(MESSAGE);

    model.update({ image: 'python' });
    await model.launch();

    expect(launched).toMatchObject([{ image: 'python' }]);
  });

  it('launches nothing while something is wrong with it', async () => {
    await new Promise(resolve => setTimeout(resolve, 300));
    model.update({ name: 'still-no-image' });

    await expect(model.launch()).resolves.toBeNull();

    expect([launched, model.obstacle?.message]).toEqual([[], MESSAGE]);
  });
});
