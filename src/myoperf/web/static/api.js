// Requests to the room. Every error is one line that says what to do.

export class RoomError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

async function answered(response) {
  if (response.ok) return response;
  let told = { code: String(response.status), message: `The room answered ${response.status}.` };
  try {
    told = await response.json();
  } catch {
    // no JSON: the status alone says what there is to say
  }
  throw new RoomError(told.code, told.message);
}

export async function get(path) {
  return (await answered(await fetch(path))).json();
}

export async function post(path, body = {}) {
  const response = await answered(
    await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-MyoPerf": "1" },
      body: JSON.stringify(body),
    }),
  );
  return response.status === 204 ? null : response.json();
}

const KINDS = { float32: Float32Array, uint16: Uint16Array, uint8: Uint8Array };

// An array of the room: its JSON header, and its numbers as `values`.
export async function getArray(path) {
  const bytes = await (await answered(await fetch(path))).arrayBuffer();
  const length = new DataView(bytes).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  return { ...header, values: new KINDS[header.dtype](bytes.slice(4 + length)) };
}

// Send one file as the body of a request; `progress` gets the share that is sent.
export function putFile(file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", "/api/files");
    request.setRequestHeader("X-MyoPerf", "1");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onerror = () => reject(new RoomError("network", "The room could not be reached; try again."));
    request.onload = () => {
      const told = JSON.parse(request.responseText || "{}");
      if (request.status === 200) resolve(told.sha256);
      else reject(new RoomError(told.code, told.message));
    };
    request.send(file);
  });
}
